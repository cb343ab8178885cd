#include <nearsight/photo.h>

#include <errno.h>
#include <string.h>

#include <nearsight/codec.h>

#define CHUNK_HEAD 4U

enum place { DUE, SENT, ARRIVED };

static bool active(const struct nsg_photo_sender *sender)
{
	return sender->state == NSG_PHOTO_WAITING || sender->state == NSG_PHOTO_MOVING;
}

int nsg_photo_begin(struct nsg_photo_sender *sender, uint8_t object, const struct nsg_photo_shot *shot, uint16_t mtu,
		    uint32_t now_ms)
{
	uint16_t room = nsg_capacity(mtu);

	memset(sender, 0, sizeof(*sender));
	if (room == 0 || shot->size == 0 || shot->size > NSG_PHOTO_MAX || object == 0 || shot->orientation > 3) {
		return -EINVAL;
	}
	sender->state = NSG_PHOTO_WAITING;
	sender->head.object = object;
	sender->head.format = 1;
	sender->head.orientation = shot->orientation;
	sender->head.chunk = (uint16_t)(room - CHUNK_HEAD < NSG_CHUNK_SENT ? room - CHUNK_HEAD : NSG_CHUNK_SENT);
	sender->head.total = shot->size;
	sender->head.crc = nsg_crc32(0, shot->data, shot->size);
	sender->head.taken = shot->taken;
	sender->data = shot->data;
	sender->count = (uint16_t)((shot->size + sender->head.chunk - 1U) / sender->head.chunk);
	sender->moved_ms = now_ms;
	return 0;
}

/** Finds the chunk to send: a lost one, or the next new one that the window allows. */
static bool due(struct nsg_photo_sender *sender, uint16_t *index)
{
	for (uint32_t i = sender->base; i < sender->next; i++) {
		if (sender->window[i % NSG_PHOTO_WINDOW].place == DUE) {
			sender->resent++;
			*index = (uint16_t)i;
			return true;
		}
	}
	if (sender->next < sender->count && sender->next < sender->base + NSG_PHOTO_WINDOW) {
		*index = sender->next++;
		return true;
	}
	return false;
}

static void fill_chunk(struct nsg_photo_sender *sender, uint16_t index, struct nsg_message *message)
{
	uint32_t at = (uint32_t)index * sender->head.chunk;
	uint32_t left = sender->head.total - at;

	sender->window[index % NSG_PHOTO_WINDOW].place = SENT;
	sender->window[index % NSG_PHOTO_WINDOW].order = sender->order++;
	message->kind = NSG_PHOTO_CHUNK;
	message->as.photo_chunk.object = sender->head.object;
	message->as.photo_chunk.index = index;
	message->as.photo_chunk.data.data = sender->data + at;
	message->as.photo_chunk.data.size = (uint16_t)(left < sender->head.chunk ? left : sender->head.chunk);
}

int nsg_photo_next(struct nsg_photo_sender *sender, uint32_t now_ms, struct nsg_message *message)
{
	bool quiet = !sender->spoken || now_ms - sender->spoke_ms >= NSG_CHECK_MS;
	uint16_t index;

	memset(message, 0, sizeof(*message));
	if (!active(sender)) {
		return -EAGAIN;
	}
	if (now_ms - sender->moved_ms >= NSG_PHOTO_IDLE_MS) {
		nsg_photo_abort(sender, NSG_STATUS_TIMEOUT, message);
		return 0;
	}
	if (sender->state == NSG_PHOTO_MOVING && due(sender, &index)) {
		fill_chunk(sender, index, message);
	} else if (!quiet) {
		return -EAGAIN;
	} else if (sender->state == NSG_PHOTO_WAITING) {
		message->kind = NSG_PHOTO_HEAD;
		message->as.photo_head = sender->head;
	} else {
		message->kind = NSG_PHOTO_CHECK;
		message->as.photo_check.object = sender->head.object;
		sender->asked = true;
		sender->checked = sender->order;
	}
	sender->spoken = true;
	sender->spoke_ms = now_ms;
	return 0;
}

static bool has(const struct nsg_photo_ack *ack, uint32_t index)
{
	uint32_t bit = index - ack->base;

	return index < ack->base || ((unsigned)ack->bitmap.data[bit / 8U] >> (bit % 8U) & 1U) != 0;
}

/** Says whether an acknowledgement speaks only of chunks that have been sent, and takes nothing back. */
static bool possible(const struct nsg_photo_sender *sender, const struct nsg_photo_ack *ack)
{
	if (ack->base < sender->base || ack->base > sender->next) {
		return false;
	}
	for (uint32_t bit = (uint32_t)sender->next - ack->base; bit < NSG_PHOTO_WINDOW; bit++) {
		if (has(ack, ack->base + bit)) {
			return false;
		}
	}
	return true;
}

static void acknowledge(struct nsg_photo_sender *sender, const struct nsg_photo_ack *ack, uint32_t now_ms)
{
	uint32_t end = sender->next < ack->base + NSG_PHOTO_WINDOW ? sender->next : ack->base + NSG_PHOTO_WINDOW;
	uint32_t newest = sender->asked ? sender->checked : 0; /* one above the newest that is known to have passed */

	for (uint32_t i = sender->base; i < end; i++) {
		if (!has(ack, i)) {
			continue;
		}
		if (sender->window[i % NSG_PHOTO_WINDOW].place == SENT) {
			sender->window[i % NSG_PHOTO_WINDOW].place = ARRIVED;
			sender->moved_ms = now_ms;
		}
		if (sender->window[i % NSG_PHOTO_WINDOW].place == ARRIVED &&
		    sender->window[i % NSG_PHOTO_WINDOW].order >= newest) {
			newest = sender->window[i % NSG_PHOTO_WINDOW].order + 1U;
		}
	}
	sender->asked = false;
	sender->base = ack->base;
	for (uint32_t i = sender->base; i < sender->next; i++) {
		if (sender->window[i % NSG_PHOTO_WINDOW].place == SENT &&
		    sender->window[i % NSG_PHOTO_WINDOW].order < newest) {
			sender->window[i % NSG_PHOTO_WINDOW].place = DUE;
		}
	}
}

void nsg_photo_take(struct nsg_photo_sender *sender, const struct nsg_message *message, uint32_t now_ms)
{
	if (!active(sender)) {
		return;
	}
	if (message->kind == NSG_PHOTO_DONE && message->as.photo_done.object == sender->head.object) {
		sender->failure = message->as.photo_done.status;
		sender->state = sender->failure == NSG_STATUS_OK ? NSG_PHOTO_WHOLE : NSG_PHOTO_FAILED;
	} else if (message->kind == NSG_PHOTO_ACK && message->as.photo_ack.object == sender->head.object &&
		   possible(sender, &message->as.photo_ack)) {
		if (sender->state == NSG_PHOTO_WAITING) {
			sender->state = NSG_PHOTO_MOVING;
			sender->moved_ms = now_ms;
		}
		sender->spoke_ms = now_ms;
		acknowledge(sender, &message->as.photo_ack, now_ms);
	}
}

void nsg_photo_abort(struct nsg_photo_sender *sender, uint8_t status, struct nsg_message *message)
{
	sender->state = NSG_PHOTO_FAILED;
	sender->failure = status;
	memset(message, 0, sizeof(*message));
	message->kind = NSG_PHOTO_ABORT;
	message->as.photo_abort.object = sender->head.object;
	message->as.photo_abort.status = status;
}
