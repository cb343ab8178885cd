/* How a message lies on the wire: numbers, then at most one run of bytes that takes what is left of the value. */
#ifndef NEARSIGHT_LAYOUT_H
#define NEARSIGHT_LAYOUT_H

#include <nearsight/profile.h>

#define NSG_CONSTANT UINT16_MAX /**< in place of an offset: always the same, not kept */

struct nsg_field {
	uint16_t offset; /**< in struct nsg_message */
	uint8_t size;    /**< 1, 2, 4 or 8 bytes */
	uint64_t low;
	uint64_t high;
};

struct nsg_layout {
	enum nsg_channel channel;
	uint8_t type;
	uint8_t fields_size;
	uint8_t size; /**< bytes of all numbers */
	const struct nsg_field *fields;
	uint16_t tail; /**< offset of a struct nsg_bytes */
	uint16_t shortest;
	uint16_t longest;
};

extern const struct nsg_layout nsg_layouts[NSG_REFUSED];

/** Little-endian. `size` is 1, 2, 4 or 8. */
uint64_t nsg_get(const uint8_t *from, uint8_t size);
void nsg_put(uint8_t *to, uint64_t number, uint8_t size);

#endif
