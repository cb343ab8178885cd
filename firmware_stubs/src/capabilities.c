#include <nearsight/capabilities.h>

#include <errno.h>
#include <string.h>

#include "layout.h"

#define HEAD_SIZE 4U
#define CODEC_SIZE 6U
#define SERIAL_SIZE 8U

/** A second one of a tag that may stand only once makes the descriptor malformed. */
struct seen {
	bool model, firmware, serial, features, mtu, buffers;
};

static bool once(bool *seen)
{
	bool before = *seen;

	*seen = true;
	return !before;
}

/* Well-formed as in the Unicode standard, table 3-7: shortest form, no surrogates, nothing above U+10FFFF. */
static bool utf8(const uint8_t *text, size_t size)
{
	for (size_t i = 0; i < size;) {
		uint8_t lead = text[i++];
		uint8_t low = 0x80, high = 0xBF;
		unsigned more;

		if (lead < 0x80) {
			continue;
		} else if (lead >= 0xC2 && lead <= 0xDF) {
			more = 1;
		} else if (lead >= 0xE0 && lead <= 0xEF) {
			more = 2;
			low = lead == 0xE0 ? 0xA0 : low;
			high = lead == 0xED ? 0x9F : high;
		} else if (lead >= 0xF0 && lead <= 0xF4) {
			more = 3;
			low = lead == 0xF0 ? 0x90 : low;
			high = lead == 0xF4 ? 0x8F : high;
		} else {
			return false;
		}
		for (; more > 0; more--, low = 0x80, high = 0xBF) {
			if (i == size || text[i] < low || text[i] > high) {
				return false;
			}
			i++;
		}
	}
	return true;
}

static bool name(struct nsg_bytes *to, const uint8_t *data, uint8_t size, bool *seen)
{
	to->data = data;
	to->size = size;
	return once(seen) && size >= 1 && size <= NSG_NAME_MAX && utf8(data, size);
}

static bool add_codec(struct nsg_capabilities *to, const uint8_t *data, uint8_t size, bool down)
{
	struct nsg_codec_offer *offer;

	if (size != CODEC_SIZE || to->codecs_size == NSG_CODECS_MAX) {
		return false;
	}
	offer = &to->codecs[to->codecs_size++];
	offer->down = down;
	offer->codec = data[0];
	offer->kbps = data[1];
	offer->rate_hz = (uint16_t)nsg_get(data + 2, 2);
	offer->frame_us = (uint16_t)nsg_get(data + 4, 2);
	return true;
}

static bool add_size(struct nsg_capabilities *to, const uint8_t *data, uint8_t size)
{
	struct nsg_photo_size *photo;

	if (size != 4 || to->sizes_size == NSG_SIZES_MAX) {
		return false;
	}
	photo = &to->sizes[to->sizes_size++];
	photo->width = (uint16_t)nsg_get(data, 2);
	photo->height = (uint16_t)nsg_get(data + 2, 2);
	return photo->width > 0 && photo->height > 0;
}

static bool add(struct nsg_capabilities *to, struct seen *seen, uint8_t tag, const uint8_t *data, uint8_t size)
{
	switch (tag) {
	case NSG_TAG_MODEL:
		return name(&to->model, data, size, &seen->model);
	case NSG_TAG_FIRMWARE:
		return name(&to->firmware, data, size, &seen->firmware);
	case NSG_TAG_SERIAL:
		/* An empty one says what no serial says. */
		to->serial.data = data;
		to->serial.size = size;
		return once(&seen->serial) && (size == SERIAL_SIZE || size == 0);
	case NSG_TAG_FEATURES:
		to->features = size == 4 ? (uint32_t)nsg_get(data, 4) : 0;
		return once(&seen->features) && size == 4;
	case NSG_TAG_CODEC_UP:
	case NSG_TAG_CODEC_DOWN:
		return add_codec(to, data, size, tag == NSG_TAG_CODEC_DOWN);
	case NSG_TAG_PHOTO_SIZE:
		return add_size(to, data, size);
	case NSG_TAG_BUFFERS:
		if (!once(&seen->buffers) || size != 8) {
			return false;
		}
		to->photo_max = (uint32_t)nsg_get(data, 4);
		to->speaker_room = (uint32_t)nsg_get(data + 4, 4);
		return true;
	case NSG_TAG_MTU:
		to->mtu = size == 2 ? (uint16_t)nsg_get(data, 2) : 0;
		return once(&seen->mtu) && to->mtu >= NSG_MTU_MIN && to->mtu <= NSG_MTU_MAX;
	default:
		return true; /* of a later version */
	}
}

int nsg_capabilities_decode(const uint8_t *value, size_t size, struct nsg_capabilities *capabilities)
{
	const uint32_t captures = (uint32_t)NSG_FEATURE_MICROPHONE | (uint32_t)NSG_FEATURE_CAMERA;
	struct seen seen = {false, false, false, false, false, false};
	size_t at = HEAD_SIZE;

	memset(capabilities, 0, sizeof(*capabilities));
	if (size < HEAD_SIZE || size > NSG_VALUE_MAX || value[0] == 0) {
		return -EBADMSG;
	}
	if (value[0] != NSG_MAJOR) {
		return -ENOTSUP;
	}
	capabilities->minor = value[1];
	if (nsg_get(value + 2, 2) != size - HEAD_SIZE) {
		return -EBADMSG;
	}
	while (at < size) {
		if (size - at < 2 || size - at - 2U < value[at + 1] ||
		    !add(capabilities, &seen, value[at], value + at + 2, value[at + 1])) {
			return -EBADMSG;
		}
		at += 2U + value[at + 1];
	}
	if (!seen.model || !seen.firmware || !seen.features || !seen.mtu) {
		return -EBADMSG;
	}
	if ((capabilities->features & captures) != 0 && (capabilities->features & NSG_FEATURE_LIGHT) == 0) {
		return -EBADMSG;
	}
	return 0;
}

static uint8_t *tag(uint8_t *at, enum nsg_tag number, struct nsg_bytes data)
{
	at[0] = (uint8_t)number;
	at[1] = (uint8_t)data.size;
	if (data.size > 0) {
		memcpy(at + 2, data.data, data.size);
	}
	return at + 2 + data.size;
}

static uint8_t *number(uint8_t *at, enum nsg_tag which, uint64_t value, uint8_t size)
{
	uint8_t data[8];
	struct nsg_bytes bytes = {data, size};

	nsg_put(data, value, size);
	return tag(at, which, bytes);
}

static uint8_t *codecs(uint8_t *at, const struct nsg_capabilities *from, bool down)
{
	for (uint8_t i = 0; i < from->codecs_size; i++) {
		const struct nsg_codec_offer *codec = &from->codecs[i];
		uint64_t packed = codec->codec | (uint64_t)codec->kbps << 8 | (uint64_t)codec->rate_hz << 16 |
				  (uint64_t)codec->frame_us << 32;

		if (codec->down == down) {
			at = number(at, down ? NSG_TAG_CODEC_DOWN : NSG_TAG_CODEC_UP, packed, CODEC_SIZE);
		}
	}
	return at;
}

int nsg_capabilities_encode(const struct nsg_capabilities *from, uint8_t *value, size_t room)
{
	struct nsg_capabilities again;
	uint8_t body[HEAD_SIZE + 3U * (2U + NSG_NAME_MAX) + 3U * 10U + (NSG_CODECS_MAX + NSG_SIZES_MAX) * 8U];
	uint8_t *at = body + HEAD_SIZE;
	size_t size;

	if (from->model.size > NSG_NAME_MAX || from->firmware.size > NSG_NAME_MAX || from->serial.size > SERIAL_SIZE ||
	    from->codecs_size > NSG_CODECS_MAX || from->sizes_size > NSG_SIZES_MAX) {
		return -EINVAL;
	}
	at = tag(at, NSG_TAG_MODEL, from->model);
	at = tag(at, NSG_TAG_FIRMWARE, from->firmware);
	at = number(at, NSG_TAG_FEATURES, from->features, 4);
	at = number(at, NSG_TAG_MTU, from->mtu, 2);
	at = from->serial.size > 0 ? tag(at, NSG_TAG_SERIAL, from->serial) : at;
	at = codecs(at, from, false);
	at = codecs(at, from, true);
	for (uint8_t i = 0; i < from->sizes_size; i++) {
		at = number(at, NSG_TAG_PHOTO_SIZE, from->sizes[i].width | (uint64_t)from->sizes[i].height << 16, 4);
	}
	if (from->photo_max > 0 || from->speaker_room > 0) {
		at = number(at, NSG_TAG_BUFFERS, from->photo_max | (uint64_t)from->speaker_room << 32, 8);
	}
	size = (size_t)(at - body);
	body[0] = NSG_MAJOR;
	body[1] = from->minor;
	nsg_put(body + 2, size - HEAD_SIZE, 2);
	if (nsg_capabilities_decode(body, size, &again) != 0) {
		return -EINVAL;
	}
	if (size > room) {
		return -ENOSPC;
	}
	memcpy(value, body, size);
	return (int)size;
}
