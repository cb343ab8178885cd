/*
 * The glasses' end of one photo: head, chunks in a window, what is missing again, checks when the host is silent.
 * The caller owns the photo's bytes until the state is whole or failed, and hands in milliseconds of any clock that may wrap.
 */
#ifndef NEARSIGHT_PHOTO_H
#define NEARSIGHT_PHOTO_H

#include <stdbool.h>
#include <stdint.h>

#include <nearsight/profile.h>

enum nsg_photo_state {
	NSG_PHOTO_IDLE,
	NSG_PHOTO_WAITING, /**< for the head's acknowledgement */
	NSG_PHOTO_MOVING,
	NSG_PHOTO_WHOLE,
	NSG_PHOTO_FAILED,
};

struct nsg_photo_sender {
	enum nsg_photo_state state;
	uint8_t failure;  /**< enum nsg_status, or a number of a later version */
	uint32_t resent;  /**< chunks sent more than once */
	/* private */
	struct nsg_photo_head head;
	const uint8_t *data;
	uint32_t order; /* counts the chunks sent */
	uint32_t checked;
	uint32_t moved_ms;
	uint32_t spoke_ms;
	uint16_t count;
	uint16_t base;
	uint16_t next;
	bool spoken;
	bool asked; /* a check is out; what was sent before `checked` is lost unless the answer has it */
	struct {
		uint32_t order;
		uint8_t place;
	} window[NSG_PHOTO_WINDOW]; /* of chunk n in n % NSG_PHOTO_WINDOW */
};

struct nsg_photo_shot {
	const uint8_t *data;
	uint32_t size;
	uint32_t taken; /**< device clock in us */
	uint8_t orientation;
};

/**
 * Begins to send a photo. Its chunks are cut for the MTU of this moment, and never above NSG_CHUNK_SENT: a larger one would
 * keep sound waiting for 52 ms at 10 kB/s, and takes three packets of the link layer anyway.
 *
 * @retval 0 begun
 * @retval -EINVAL the photo is empty or too long, or the MTU is none
 */
int nsg_photo_begin(struct nsg_photo_sender *sender, uint8_t object, const struct nsg_photo_shot *shot, uint16_t mtu,
		    uint32_t now_ms);

/**
 * Gives the message to send now. To be called only when the stack has room for it.
 *
 * @retval 0 `message` is to be sent
 * @retval -EAGAIN nothing to send yet, or nothing more
 */
int nsg_photo_next(struct nsg_photo_sender *sender, uint32_t now_ms, struct nsg_message *message);

/** Takes what the host wrote. What is of another photo, or impossible, is passed over. */
void nsg_photo_take(struct nsg_photo_sender *sender, const struct nsg_message *message, uint32_t now_ms);

/** Gives the photo up and fills the message that says so. */
void nsg_photo_abort(struct nsg_photo_sender *sender, uint8_t status, struct nsg_message *message);

#endif
