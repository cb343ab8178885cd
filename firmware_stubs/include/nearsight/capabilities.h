/* The descriptor: what a pair of glasses has and can do. */
#ifndef NEARSIGHT_CAPABILITIES_H
#define NEARSIGHT_CAPABILITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearsight/profile.h>

struct nsg_codec_offer {
	bool down; /**< of the speaker; else of the microphone */
	uint8_t codec;
	uint8_t kbps; /**< highest */
	uint16_t rate_hz;
	uint16_t frame_us;
};

struct nsg_photo_size {
	uint16_t width;
	uint16_t height;
};

struct nsg_capabilities {
	uint8_t minor;
	struct nsg_bytes model;    /**< UTF-8 */
	struct nsg_bytes firmware; /**< UTF-8 */
	struct nsg_bytes serial;   /**< 8 bytes of a hash, or none */
	uint32_t features;         /**< enum nsg_feature */
	uint16_t mtu;              /**< largest */
	uint8_t codecs_size;
	uint8_t sizes_size;
	struct nsg_codec_offer codecs[NSG_CODECS_MAX];
	struct nsg_photo_size sizes[NSG_SIZES_MAX];
	uint32_t photo_max;    /**< in bytes */
	uint32_t speaker_room; /**< in bytes */
};

/**
 * Reads a descriptor. Texts point into `value`.
 *
 * @retval 0 done
 * @retval -EBADMSG malformed
 * @retval -ENOTSUP of another major version
 */
int nsg_capabilities_decode(const uint8_t *value, size_t size, struct nsg_capabilities *capabilities);

/**
 * Writes a descriptor.
 *
 * @return bytes written
 * @retval -EINVAL it would be read otherwise
 * @retval -ENOSPC `room` is too small
 */
int nsg_capabilities_encode(const struct nsg_capabilities *capabilities, uint8_t *value, size_t room);

#endif
