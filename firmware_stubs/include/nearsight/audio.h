/* Audio packets: codec frames cut to the MTU, put together again, and their losses counted. Both directions use the same. */
#ifndef NEARSIGHT_AUDIO_H
#define NEARSIGHT_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearsight/profile.h>

struct nsg_audio_packet {
	uint16_t seq;
	uint8_t flags; /**< enum nsg_packet */
	uint8_t stream;
	uint32_t time; /**< in us; only with NSG_PACKET_FIRST */
	struct nsg_bytes data;
};

/**
 * Reads a packet; its data point into `value`.
 *
 * @retval 0 done
 * @retval -EBADMSG malformed
 */
int nsg_audio_decode(const uint8_t *value, size_t size, struct nsg_audio_packet *packet);

/** Cuts the frames of one stream. */
struct nsg_audio_sender {
	uint16_t seq;
	uint8_t stream;
	bool restart;
	uint32_t dropped; /**< packets that the stack refused */
};

void nsg_audio_sender_init(struct nsg_audio_sender *sender, uint8_t stream);

/** Hands one value to the stack. @retval 0 taken @retval <0 no room: the packet is lost, and counted */
typedef int (*nsg_emit)(void *context, const uint8_t *value, uint16_t size);

/**
 * Sends a frame in as many packets as the MTU of this moment asks for.
 *
 * @retval 0 all packets were taken
 * @retval -EINVAL the frame is empty or too long, or the MTU is none; nothing was sent
 * @retval -ENOBUFS the stack refused one; the rest of the frame is not sent, the host sees the gap
 */
int nsg_audio_send(struct nsg_audio_sender *sender, struct nsg_bytes frame, uint32_t time, bool speech, uint16_t mtu,
		   nsg_emit emit, void *context);

/** A codec frame, whole. Its data belong to the receiver and live until its next packet. */
struct nsg_audio_frame {
	struct nsg_bytes data;
	uint32_t time; /**< in us */
	uint32_t lost; /**< frames that were lost just before this one */
	bool speech;
};

/** Puts the frames of one stream together. It never joins bytes of two frames. */
struct nsg_audio_receiver {
	uint32_t lost;    /**< frames of this stream, as far as a later frame has shown it */
	uint32_t late;    /**< packets that came again, or after later ones */
	uint32_t foreign; /**< packets of other streams */
	/* private */
	uint32_t missing;
	uint32_t broken;
	uint32_t time; /* of the last whole frame */
	uint32_t begun_time;
	uint16_t next;
	uint16_t size;
	uint8_t stream;
	uint8_t begun_flags;
	bool begun;
	bool timed;
	uint8_t data[NSG_AUDIO_FRAME_MAX];
};

void nsg_audio_receiver_init(struct nsg_audio_receiver *receiver, uint8_t stream);

/**
 * Takes the next packet.
 *
 * @retval 1 `frame` is whole
 * @retval 0 no frame yet
 * @retval -EBADMSG malformed; nothing is forgotten
 */
int nsg_audio_take(struct nsg_audio_receiver *receiver, const uint8_t *value, size_t size, struct nsg_audio_frame *frame);

#endif
