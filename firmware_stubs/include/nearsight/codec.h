/*
 * Messages to bytes and back, all but audio packets (audio.h) and the descriptor (capabilities.h).
 * Nothing here allocates, blocks or keeps state.
 */
#ifndef NEARSIGHT_CODEC_H
#define NEARSIGHT_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <nearsight/profile.h>

/** What a reply's type has more than its request's. */
#define NSG_REPLY 0x80U

/**
 * Longest value that a notification or a write without response carries; ATT allows 512 bytes whatever the MTU.
 *
 * @retval 0 the MTU is none
 */
uint16_t nsg_capacity(uint16_t mtu);

/**
 * Reads one value of one channel. Runs of bytes in `message` point into `value`.
 *
 * @retval 0 done
 * @retval -EBADMSG malformed
 * @retval -ENOTSUP of a type that this version does not know
 */
int nsg_decode(enum nsg_channel channel, const uint8_t *value, size_t size, struct nsg_message *message);

/**
 * Writes a message.
 *
 * @return bytes written
 * @retval -EINVAL a field is outside its limits
 * @retval -ENOSPC `room` is too small
 */
int nsg_encode(const struct nsg_message *message, uint8_t *value, size_t room);

/** CRC-32 as in ISO 3309, zlib and PNG. Start with 0; feed the result in to go on. */
uint32_t nsg_crc32(uint32_t crc, const uint8_t *data, size_t size);

#endif
