/*
 * One step of the differential test: an operation and its input in, the result in a form that does not depend on the language
 * out. tools/bench/wire_mirror.py does the same in Python. Included by wirecheck.c and fuzz.c.
 */
#ifndef NEARSIGHT_TEST_STEP_H
#define NEARSIGHT_TEST_STEP_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nearsight/audio.h>
#include <nearsight/capabilities.h>
#include <nearsight/codec.h>
#include <nearsight/photo.h>
#include <nearsight/speaker.h>

#include "../src/layout.h"

#define RESULT_MAX 65536U
#define PHOTO_BYTES 65536U

enum op {
	/* 0 to 5: nsg_decode of that channel */
	OP_AUDIO_DECODE = 6,
	OP_CAPABILITIES,
	OP_AUDIO_OPEN,
	OP_AUDIO_TAKE,
	OP_PHOTO_BEGIN,
	OP_PHOTO_NEXT,
	OP_PHOTO_TAKE,
	OP_SPEAKER_OPEN,
	OP_SPEAKER_TAKE,
	OP_SPEAKER_PLAY,
	OP_SPEAKER_CLOSE,
	OP_SPEAKER_FLUSH,
	OP_SPEAKER_REPORT,
	OP_AUDIO_SEND,
	OPS
};

enum outcome { OUTCOME_OK, OUTCOME_MALFORMED, OUTCOME_UNKNOWN, OUTCOME_NONE };

struct state {
	struct nsg_audio_sender sender;
	struct nsg_audio_receiver receiver;
	struct nsg_photo_sender photo;
	struct nsg_speaker speaker;
	uint8_t picture[PHOTO_BYTES];
	uint8_t result[RESULT_MAX];
	size_t size;
};

static void say(struct state *state, uint64_t number, uint8_t bytes)
{
	if (state->size + bytes > RESULT_MAX) {
		abort();
	}
	nsg_put(state->result + state->size, number, bytes);
	state->size += bytes;
}

static void say_bytes(struct state *state, const uint8_t *data, size_t size)
{
	say(state, size, 4);
	if (state->size + size > RESULT_MAX) {
		abort();
	}
	if (size > 0) {
		memcpy(state->result + state->size, data, size);
	}
	state->size += size;
}

static void say_error(struct state *state, int error)
{
	say(state, error == -ENOTSUP ? OUTCOME_UNKNOWN : OUTCOME_MALFORMED, 1);
}

static void say_message(struct state *state, const struct nsg_message *message)
{
	uint8_t value[NSG_VALUE_MAX];
	int size = nsg_encode(message, value, sizeof(value));

	if (size < 0) {
		abort();
	}
	say(state, OUTCOME_OK, 1);
	say_bytes(state, value, (size_t)size);
}

/** Every number that the message carries, read through its layout, so that a wrong offset shows. */
static void say_fields(struct state *state, const struct nsg_message *message)
{
	const struct nsg_layout *layout;

	if (message->kind == NSG_REFUSED) {
		say(state, message->as.refused.request, 8);
		say(state, message->as.refused.refused, 8);
		say(state, message->as.refused.status, 8);
		return;
	}
	layout = &nsg_layouts[message->kind];
	for (uint8_t i = 0; i < layout->fields_size; i++) {
		uint64_t number = 0;

		if (layout->fields[i].offset != NSG_CONSTANT) {
			/* The host's tests run on little-endian machines. */
			memcpy(&number, (const uint8_t *)message + layout->fields[i].offset, layout->fields[i].size);
			say(state, number, 8);
		}
	}
	if (layout->tail != NSG_CONSTANT) {
		struct nsg_bytes tail;

		memcpy(&tail, (const uint8_t *)message + layout->tail, sizeof(tail));
		say_bytes(state, tail.data, tail.size);
	}
}

static void step_decode(struct state *state, enum nsg_channel channel, const uint8_t *data, size_t size)
{
	struct nsg_message message;
	uint8_t again[NSG_VALUE_MAX];
	int error = nsg_decode(channel, data, size, &message);

	if (error != 0) {
		say_error(state, error);
		return;
	}
	say(state, OUTCOME_OK, 1);
	say(state, message.kind, 1);
	say_fields(state, &message);
	if (nsg_encode(&message, again, sizeof(again)) != (int)size || memcmp(again, data, size) != 0) {
		abort();
	}
}

static void step_audio_decode(struct state *state, const uint8_t *data, size_t size)
{
	struct nsg_audio_packet packet;
	int error = nsg_audio_decode(data, size, &packet);

	if (error != 0) {
		say_error(state, error);
		return;
	}
	say(state, OUTCOME_OK, 1);
	say(state, packet.seq, 8);
	say(state, packet.flags, 8);
	say(state, packet.stream, 8);
	say(state, packet.time, 8);
	say_bytes(state, packet.data.data, packet.data.size);
}

static void step_capabilities(struct state *state, const uint8_t *data, size_t size)
{
	struct nsg_capabilities capabilities;
	uint8_t again[NSG_VALUE_MAX];
	int error = nsg_capabilities_decode(data, size, &capabilities);

	if (error != 0) {
		say_error(state, error);
		return;
	}
	error = nsg_capabilities_encode(&capabilities, again, sizeof(again));
	if (error < 0) {
		abort();
	}
	say(state, OUTCOME_OK, 1);
	say_bytes(state, again, (size_t)error);
}

static void step_audio_take(struct state *state, const uint8_t *data, size_t size)
{
	struct nsg_audio_frame frame;
	int status = nsg_audio_take(&state->receiver, data, size, &frame);

	if (status < 0) {
		say_error(state, status);
	} else if (status == 0) {
		say(state, OUTCOME_NONE, 1);
	} else {
		say(state, OUTCOME_OK, 1);
		say(state, frame.time, 8);
		say(state, frame.lost, 8);
		say(state, frame.speech, 1);
		say_bytes(state, frame.data.data, frame.data.size);
	}
	say(state, state->receiver.lost, 8);
	say(state, state->receiver.late, 8);
	say(state, state->receiver.foreign, 8);
}

static int collect(void *context, const uint8_t *value, uint16_t size)
{
	say_bytes(context, value, size);
	return 0;
}

static void step_audio_send(struct state *state, const uint8_t *data, size_t size)
{
	struct nsg_bytes frame;

	if (size < 7) {
		return;
	}
	frame.data = data + 7;
	frame.size = (uint16_t)(size - 7);
	if (nsg_audio_send(&state->sender, frame, (uint32_t)nsg_get(data + 2, 4), (data[6] & 1U) != 0,
			   (uint16_t)nsg_get(data, 2), collect, state) != 0) {
		say(state, OUTCOME_MALFORMED, 1);
	}
}

static void say_photo(struct state *state)
{
	say(state, (uint64_t)state->photo.state, 1);
	say(state, state->photo.failure, 1);
	say(state, state->photo.resent, 8);
}

static void step_photo(struct state *state, enum op op, const uint8_t *data, size_t size)
{
	struct nsg_photo_shot shot = {state->picture, 0, 0, 0};
	struct nsg_message message;
	int error;

	if (op == OP_PHOTO_BEGIN && size >= 12 && size - 12 <= PHOTO_BYTES) {
		shot.size = (uint32_t)(size - 12);
		memcpy(state->picture, data + 12, shot.size);
		shot.orientation = data[7] & 3U;
		shot.taken = (uint32_t)nsg_get(data + 8, 4);
		error = nsg_photo_begin(&state->photo, (uint8_t)(data[0] | 1U), &shot, (uint16_t)nsg_get(data + 1, 2),
					(uint32_t)nsg_get(data + 3, 4));
		say(state, error == 0 ? OUTCOME_OK : OUTCOME_MALFORMED, 1);
	} else if (op == OP_PHOTO_NEXT && size >= 4) {
		if (nsg_photo_next(&state->photo, (uint32_t)nsg_get(data, 4), &message) == 0) {
			say_message(state, &message);
		} else {
			say(state, OUTCOME_NONE, 1);
		}
		say_photo(state);
	} else if (op == OP_PHOTO_TAKE && size >= 4) {
		error = nsg_decode(NSG_CHANNEL_RECEIPT, data + 4, size - 4, &message);
		if (error != 0) {
			say_error(state, error);
		} else {
			nsg_photo_take(&state->photo, &message, (uint32_t)nsg_get(data, 4));
		}
		say_photo(state);
	}
}

static void step_speaker(struct state *state, enum op op, const uint8_t *data, size_t size)
{
	uint8_t out[NSG_AUDIO_FRAME_MAX];
	uint32_t number = size >= 4 ? (uint32_t)nsg_get(data, 4) : 0;
	struct nsg_message message = {.kind = NSG_SPEAKER_REPORT};

	switch (op) {
	case OP_SPEAKER_OPEN:
		nsg_speaker_open(&state->speaker, size > 0 ? data[0] : 0);
		break;
	case OP_SPEAKER_TAKE:
		nsg_speaker_take(&state->speaker, data, size);
		break;
	case OP_SPEAKER_PLAY:
		say_bytes(state, out, nsg_speaker_play(&state->speaker, number, out));
		break;
	case OP_SPEAKER_CLOSE:
		nsg_speaker_close(&state->speaker);
		break;
	case OP_SPEAKER_FLUSH:
		say(state, nsg_speaker_flush(&state->speaker, number), 8);
		break;
	default:
		if (nsg_speaker_report(&state->speaker, number, &message.as.speaker_report)) {
			say_message(state, &message);
		}
	}
	say(state, (uint64_t)state->speaker.state, 1);
	say(state, state->speaker.frames, 8);
	say(state, state->speaker.malformed, 8);
	say(state, nsg_speaker_lost(&state->speaker), 8);
}

static void step_reset(struct state *state)
{
	memset(state, 0, sizeof(*state));
	nsg_audio_sender_init(&state->sender, 0);
	nsg_speaker_open(&state->speaker, 0);
}

/** Does one operation; its result is in `result`. */
static void step(struct state *state, uint8_t op, const uint8_t *data, size_t size)
{
	state->size = 0;
	if (op < NSG_CHANNELS) {
		step_decode(state, (enum nsg_channel)op, data, size);
		return;
	}
	switch (op) {
	case OP_AUDIO_DECODE:
		step_audio_decode(state, data, size);
		break;
	case OP_CAPABILITIES:
		step_capabilities(state, data, size);
		break;
	case OP_AUDIO_OPEN:
		nsg_audio_receiver_init(&state->receiver, size > 0 ? data[0] : 0);
		nsg_audio_sender_init(&state->sender, size > 0 ? data[0] : 0);
		break;
	case OP_AUDIO_TAKE:
		step_audio_take(state, data, size);
		break;
	case OP_AUDIO_SEND:
		step_audio_send(state, data, size);
		break;
	case OP_PHOTO_BEGIN:
	case OP_PHOTO_NEXT:
	case OP_PHOTO_TAKE:
		step_photo(state, (enum op)op, data, size);
		break;
	default:
		step_speaker(state, (enum op)op, data, size);
	}
}

#endif
