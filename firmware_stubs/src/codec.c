#include <nearsight/codec.h>

#include <errno.h>
#include <string.h>

#include "layout.h"

#define HEAD_SIZE 4U

uint16_t nsg_capacity(uint16_t mtu)
{
	if (mtu < NSG_MTU_MIN || mtu > NSG_MTU_MAX) {
		return 0;
	}
	return (uint16_t)(mtu - 3U < NSG_VALUE_MAX ? mtu - 3U : NSG_VALUE_MAX);
}

uint64_t nsg_get(const uint8_t *from, uint8_t size)
{
	uint64_t number = 0;

	for (uint8_t i = size; i > 0; i--) {
		number = number << 8 | from[i - 1U];
	}
	return number;
}

void nsg_put(uint8_t *to, uint64_t number, uint8_t size)
{
	for (uint8_t i = 0; i < size; i++) {
		to[i] = (uint8_t)(number >> (8U * i) & 0xFFU);
	}
}

static void keep(struct nsg_message *message, const struct nsg_field *field, uint64_t number)
{
	uint8_t *at = (uint8_t *)message + field->offset;
	uint8_t u8 = (uint8_t)number;
	uint16_t u16 = (uint16_t)number;
	uint32_t u32 = (uint32_t)number;

	switch (field->size) {
	case 1:
		memcpy(at, &u8, sizeof(u8));
		break;
	case 2:
		memcpy(at, &u16, sizeof(u16));
		break;
	case 4:
		memcpy(at, &u32, sizeof(u32));
		break;
	default:
		memcpy(at, &number, sizeof(number));
	}
}

static uint64_t kept(const struct nsg_message *message, const struct nsg_field *field)
{
	const uint8_t *at = (const uint8_t *)message + field->offset;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (field->size) {
	case 1:
		memcpy(&u8, at, sizeof(u8));
		return u8;
	case 2:
		memcpy(&u16, at, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, at, sizeof(u32));
		return u32;
	default:
		memcpy(&u64, at, sizeof(u64));
		return u64;
	}
}

static const struct nsg_layout *find(enum nsg_channel channel, uint8_t type)
{
	for (size_t i = 0; i < NSG_REFUSED; i++) {
		if (nsg_layouts[i].channel == channel && nsg_layouts[i].type == type) {
			return &nsg_layouts[i];
		}
	}
	return NULL;
}

static int decode_refused(const uint8_t *value, size_t size, struct nsg_message *message)
{
	if (size != HEAD_SIZE || value[3] != 0 || value[0] <= NSG_REPLY) {
		return -EBADMSG;
	}
	message->kind = NSG_REFUSED;
	message->as.refused.refused = (uint8_t)(value[0] & 0x7FU);
	message->as.refused.request = value[1];
	message->as.refused.status = value[2];
	return 0;
}

int nsg_decode(enum nsg_channel channel, const uint8_t *value, size_t size, struct nsg_message *message)
{
	const struct nsg_layout *layout;
	size_t at = 0;

	memset(message, 0, sizeof(*message));
	if (size == 0) {
		return -EBADMSG;
	}
	if (channel == NSG_CHANNEL_REPLY && size >= HEAD_SIZE && value[2] != 0) {
		return decode_refused(value, size, message);
	}
	layout = find(channel, value[0]);
	if (layout == NULL) {
		return -ENOTSUP;
	}
	if (size < (size_t)layout->size + layout->shortest || size > (size_t)layout->size + layout->longest) {
		return -EBADMSG;
	}
	message->kind = (enum nsg_kind)(layout - nsg_layouts);
	for (uint8_t i = 0; i < layout->fields_size; i++) {
		const struct nsg_field *field = &layout->fields[i];
		uint64_t number = nsg_get(value + at, field->size);

		if (number < field->low || number > field->high) {
			return -EBADMSG;
		}
		if (field->offset != NSG_CONSTANT) {
			keep(message, field, number);
		}
		at += field->size;
	}
	if (layout->tail != NSG_CONSTANT) {
		struct nsg_bytes tail = {value + at, (uint16_t)(size - at)};

		memcpy((uint8_t *)message + layout->tail, &tail, sizeof(tail));
	}
	return 0;
}

static int encode_refused(const struct nsg_refused *refused, uint8_t *value, size_t room)
{
	if (refused->refused == 0 || refused->refused >= NSG_REPLY || refused->status == 0) {
		return -EINVAL;
	}
	if (room < HEAD_SIZE) {
		return -ENOSPC;
	}
	value[0] = (uint8_t)(refused->refused | NSG_REPLY);
	value[1] = refused->request;
	value[2] = refused->status;
	value[3] = 0;
	return (int)HEAD_SIZE;
}

int nsg_encode(const struct nsg_message *message, uint8_t *value, size_t room)
{
	const struct nsg_layout *layout;
	struct nsg_bytes tail = {NULL, 0};
	size_t at = 0;

	if (message->kind == NSG_REFUSED) {
		return encode_refused(&message->as.refused, value, room);
	}
	if (message->kind > NSG_REFUSED) {
		return -EINVAL;
	}
	layout = &nsg_layouts[message->kind];
	if (layout->tail != NSG_CONSTANT) {
		memcpy(&tail, (const uint8_t *)message + layout->tail, sizeof(tail));
	}
	if (tail.size < layout->shortest || tail.size > layout->longest) {
		return -EINVAL;
	}
	if (room < (size_t)layout->size + tail.size) {
		return -ENOSPC;
	}
	for (uint8_t i = 0; i < layout->fields_size; i++) {
		const struct nsg_field *field = &layout->fields[i];
		uint64_t number = field->offset == NSG_CONSTANT ? field->low : kept(message, field);

		if (number < field->low || number > field->high) {
			return -EINVAL;
		}
		nsg_put(value + at, number, field->size);
		at += field->size;
	}
	if (tail.size > 0) {
		memcpy(value + at, tail.data, tail.size);
	}
	return (int)(at + tail.size);
}

uint32_t nsg_crc32(uint32_t crc, const uint8_t *data, size_t size)
{
	/* Four bits at a time: 64 bytes of table, about 20 cycles a byte. */
	static const uint32_t table[16] = {
		0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U, 0x4DB26158U, 0x5005713CU,
		0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU, 0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
	};

	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15U];
		crc = crc >> 4 ^ table[crc & 15U];
	}
	return ~crc;
}
