#include <nearsight/audio.h>

#include <errno.h>
#include <string.h>

#include <nearsight/codec.h>

#include "layout.h"

#define SHORT_HEAD 4U
#define LONG_HEAD 8U
#define FIRST_FLAGS ((unsigned)NSG_PACKET_FIRST | NSG_PACKET_LAST | NSG_PACKET_SPEECH | NSG_PACKET_RESTART)
#define HALF 0x8000U

int nsg_audio_decode(const uint8_t *value, size_t size, struct nsg_audio_packet *packet)
{
	size_t head = SHORT_HEAD;

	memset(packet, 0, sizeof(*packet));
	if (size < SHORT_HEAD + 1U || size > NSG_VALUE_MAX) {
		return -EBADMSG;
	}
	packet->seq = (uint16_t)nsg_get(value, 2);
	packet->flags = value[2];
	packet->stream = value[3];
	if ((packet->flags & NSG_PACKET_FIRST) != 0) {
		if (size < LONG_HEAD + 1U || (packet->flags & ~FIRST_FLAGS) != 0 ||
		    ((packet->flags & NSG_PACKET_RESTART) != 0 && packet->seq != 0)) {
			return -EBADMSG;
		}
		packet->time = (uint32_t)nsg_get(value + SHORT_HEAD, 4);
		head = LONG_HEAD;
	} else if ((packet->flags & ~(unsigned)NSG_PACKET_LAST) != 0) {
		return -EBADMSG;
	}
	packet->data.data = value + head;
	packet->data.size = (uint16_t)(size - head);
	return 0;
}

void nsg_audio_sender_init(struct nsg_audio_sender *sender, uint8_t stream)
{
	memset(sender, 0, sizeof(*sender));
	sender->stream = stream;
	sender->restart = true;
}

int nsg_audio_send(struct nsg_audio_sender *sender, struct nsg_bytes frame, uint32_t time, bool speech, uint16_t mtu,
		   nsg_emit emit, void *context)
{
	uint8_t value[NSG_VALUE_MAX];
	uint16_t room = nsg_capacity(mtu);
	uint16_t at = 0;
	int status = 0;

	if (room == 0 || frame.size == 0 || frame.size > NSG_AUDIO_FRAME_MAX) {
		return -EINVAL;
	}
	while (at < frame.size) {
		uint16_t head = at == 0 ? LONG_HEAD : SHORT_HEAD;
		uint16_t left = (uint16_t)(frame.size - at);
		uint16_t part = (uint16_t)(left < room - head ? left : room - head);
		unsigned flags = part == left ? (unsigned)NSG_PACKET_LAST : 0U;

		if (at == 0) {
			flags |= NSG_PACKET_FIRST;
			flags |= speech ? (unsigned)NSG_PACKET_SPEECH : 0U;
			flags |= sender->restart ? (unsigned)NSG_PACKET_RESTART : 0U;
			nsg_put(value + SHORT_HEAD, time, 4);
			sender->restart = false;
		}
		nsg_put(value, sender->seq, 2);
		value[2] = (uint8_t)flags;
		value[3] = sender->stream;
		memcpy(value + head, frame.data + at, part);
		at = (uint16_t)(at + part);
		sender->seq++;
		if (status == 0 && emit(context, value, (uint16_t)(head + part)) != 0) {
			status = -ENOBUFS;
		}
		sender->dropped += status != 0 ? 1U : 0U;
	}
	return status;
}

void nsg_audio_receiver_init(struct nsg_audio_receiver *receiver, uint8_t stream)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->stream = stream;
}

static void drop(struct nsg_audio_receiver *receiver)
{
	if (receiver->begun) {
		receiver->begun = false;
		receiver->broken++;
	}
}

static void whole(struct nsg_audio_receiver *receiver, struct nsg_audio_frame *frame)
{
	uint32_t lost = receiver->missing + receiver->broken;

	if (lost > 0) {
		if (receiver->timed) {
			uint64_t passed = (uint32_t)(receiver->begun_time - receiver->time);
			uint64_t frames = (passed + NSG_AUDIO_FRAME_US / 2U) / NSG_AUDIO_FRAME_US;

			if (frames <= 2) {
				lost = 1;
			} else if (frames - 1U < lost) {
				lost = (uint32_t)(frames - 1U);
			}
		}
		receiver->lost += lost;
		receiver->missing = 0;
		receiver->broken = 0;
	}
	receiver->begun = false;
	receiver->timed = true;
	receiver->time = receiver->begun_time;
	frame->data.data = receiver->data;
	frame->data.size = receiver->size;
	frame->time = receiver->begun_time;
	frame->lost = lost;
	frame->speech = (receiver->begun_flags & NSG_PACKET_SPEECH) != 0;
}

/** Says whether the packet was added to a frame. */
static bool add(struct nsg_audio_receiver *receiver, const struct nsg_audio_packet *packet)
{
	if ((packet->flags & NSG_PACKET_FIRST) != 0) {
		drop(receiver);
		receiver->begun = true;
		receiver->begun_time = packet->time;
		receiver->begun_flags = packet->flags;
		receiver->size = 0;
	} else if (!receiver->begun) {
		return false; /* the rest of a frame whose beginning is gone */
	}
	if (packet->data.size > NSG_AUDIO_FRAME_MAX - receiver->size) {
		drop(receiver);
		return false;
	}
	memcpy(receiver->data + receiver->size, packet->data.data, packet->data.size);
	receiver->size = (uint16_t)(receiver->size + packet->data.size);
	return true;
}

int nsg_audio_take(struct nsg_audio_receiver *receiver, const uint8_t *value, size_t size, struct nsg_audio_frame *frame)
{
	struct nsg_audio_packet packet;
	uint16_t gap;

	if (nsg_audio_decode(value, size, &packet) != 0) {
		return -EBADMSG;
	}
	if (packet.stream != receiver->stream) {
		receiver->foreign++;
		return 0;
	}
	if ((packet.flags & NSG_PACKET_RESTART) != 0) {
		receiver->next = 0;
		receiver->missing = 0;
		receiver->broken = 0;
		receiver->begun = false;
		receiver->timed = false;
	}
	gap = (uint16_t)(packet.seq - receiver->next);
	if (gap >= HALF) {
		receiver->late++;
		return 0;
	}
	if (gap > 0) {
		receiver->missing += gap;
		drop(receiver);
	}
	receiver->next = (uint16_t)(packet.seq + 1U);
	if (!add(receiver, &packet) || (packet.flags & NSG_PACKET_LAST) == 0) {
		return 0;
	}
	whole(receiver, frame);
	return 1;
}
