/*
 * The way down, in the glasses: frames that wait to be played, credits for the host, an immediate flush.
 * The audio clock takes a frame every 20 ms; both sides of the buffer run in one context.
 */
#ifndef NEARSIGHT_SPEAKER_H
#define NEARSIGHT_SPEAKER_H

#include <stdbool.h>
#include <stdint.h>

#include <nearsight/audio.h>

/** Bytes of the buffer: about a second of Opus at 32 kbit/s. A frame takes its length and NSG_FRAME_COST. */
#define NSG_SPEAKER_ROOM 4096U

struct nsg_speaker {
	enum nsg_speaker_state state;
	uint32_t granted;   /**< credits given in this stream, all together */
	uint32_t played_us; /**< heard of this stream */
	uint32_t overrun;   /**< frames beyond the credits */
	uint32_t malformed; /**< values that could not be read */
	uint16_t underruns;
	/* private */
	struct nsg_audio_receiver receiver;
	uint32_t spent;
	uint32_t clock_us;
	uint32_t reported_ms;
	uint16_t read;
	uint16_t write;
	uint16_t used;
	uint16_t frames;
	bool reported;
	bool closed;
	bool changed;
	uint8_t ring[NSG_SPEAKER_ROOM];
};

/** Opens a stream with an empty buffer. */
void nsg_speaker_open(struct nsg_speaker *speaker, uint8_t stream);

/** Takes what was written. Malformed bytes, other streams and frames beyond the credits are dropped and counted. */
void nsg_speaker_take(struct nsg_speaker *speaker, const uint8_t *value, size_t size);

/**
 * Gives the frame to play from now on. To be called every 20 ms with the device clock.
 *
 * @param out room for NSG_AUDIO_FRAME_MAX bytes
 * @return bytes of the frame
 * @retval 0 silence
 */
uint16_t nsg_speaker_play(struct nsg_speaker *speaker, uint32_t clock_us, uint8_t *out);

/** No more frames will come. */
void nsg_speaker_close(struct nsg_speaker *speaker);

/** Drops what waits; gives how much of the stream was heard, in us. The caller silences the speaker. */
uint32_t nsg_speaker_flush(struct nsg_speaker *speaker, uint32_t clock_us);

/** Frames of this stream that will never be played, though they were sent. */
uint32_t nsg_speaker_lost(const struct nsg_speaker *speaker);

/** @retval true `report` is to be notified: the state has changed, or 100 ms have gone */
bool nsg_speaker_report(struct nsg_speaker *speaker, uint32_t now_ms, struct nsg_speaker_report *report);

#endif
