/*
 * The peripheral's application over a pipe, on hardware that does what it is told, at a time that the other end sets.
 *
 * In, records of u8 kind, u16 size, bytes:
 *   C u16 mtu        connected            S              encrypted and bonded     D      link lost
 *   W u8 to, value   written              R              descriptor read          U u16  another MTU
 *   T u32 us         time passes, in steps of 10 ms: polls, and every 20 ms the audio clocks
 *   B u8 button, u8 action    P u8 taps   G u8 gesture, u8 confidence             O u8 worn
 *   A u8 percent, u8 charging, u16 mV     H u8 hot       L u8: 0 the lamp is broken
 *   F u16 slots      transmit slots, refilled every 10 ms and by each record in
 *                         X u32 size: the next picture; 0: the camera fails
 * Out, records of the same form; after each record in, all that follows from it and then E:
 *   N u8 from, value notified             W i8 errno     result of W              R      descriptor
 *   H u8 part, u8 on part 0 microphone, 1 camera, 2 light, 3 silence, 4 link mode, 5 closed, 6 picture freed
 *   Y frame          played
 */
#include <stdio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nearsight/app.h>

#include "../src/layout.h"

#define STEP_US 10000U
#define FRAME_BYTES 80U
#define EXPOSURE_US 50000U

enum part { MICROPHONE, CAMERA, LIGHT, SILENCE, MODE, CLOSED, RELEASED };

static struct {
	uint64_t now_us;
	uint64_t exposed_us;
	uint64_t frames;
	uint32_t picture_size;
	uint16_t slots_each;
	uint16_t slots;
	bool lamp;
	bool lit;
	bool microphone;
	bool exposing;
	uint8_t picture[NSG_PHOTO_MAX];
} hardware = {.picture_size = 20000, .slots_each = 6, .slots = 6, .lamp = true};

static void put(char kind, const uint8_t *head, uint16_t head_size, const uint8_t *data, uint16_t size)
{
	uint8_t record[3] = {(uint8_t)kind, 0, 0};

	nsg_put(record + 1, (uint64_t)head_size + size, 2);
	if (fwrite(record, 1, 3, stdout) != 3 || fwrite(head, 1, head_size, stdout) != head_size ||
	    (size > 0 && fwrite(data, 1, size, stdout) != size)) {
		exit(1);
	}
}

static void part(enum part which, uint8_t on)
{
	uint8_t data[2] = {(uint8_t)which, on};

	put('H', data, 2, NULL, 0);
}

static int notify(void *context, enum nsg_characteristic from, const uint8_t *value, uint16_t size)
{
	uint8_t head = (uint8_t)from;

	(void)context;
	if (hardware.slots == 0) {
		return -ENOBUFS;
	}
	hardware.slots--;
	put('N', &head, 1, value, size);
	return 0;
}

static unsigned slots(void *context)
{
	(void)context;
	return hardware.slots;
}

static bool idle(void *context)
{
	(void)context;
	return hardware.slots == hardware.slots_each;
}

static int mode(void *context, enum nsg_link_mode wanted)
{
	(void)context;
	part(MODE, (uint8_t)wanted);
	return 0;
}

static void close_link(void *context)
{
	(void)context;
	part(CLOSED, 1);
}

static int microphone_start(void *context, enum nsg_codec codec, uint8_t kbps)
{
	(void)context;
	(void)kbps;
	if (codec != NSG_CODEC_OPUS) {
		return -ENOTSUP;
	}
	hardware.microphone = true;
	part(MICROPHONE, 1);
	return 0;
}

static void microphone_stop(void *context)
{
	(void)context;
	if (hardware.microphone) {
		part(MICROPHONE, 0);
	}
	hardware.microphone = false;
}

static int camera_take(void *context, const struct nsg_photo_size *size, uint8_t quality)
{
	(void)context;
	(void)size;
	(void)quality;
	hardware.exposing = true;
	hardware.exposed_us = hardware.now_us + EXPOSURE_US;
	part(CAMERA, 1);
	return 0;
}

static void camera_stop(void *context)
{
	(void)context;
	if (hardware.exposing) {
		part(CAMERA, 0);
	}
	hardware.exposing = false;
}

static void camera_release(void *context)
{
	(void)context;
	part(RELEASED, 1);
}

static int light_set(void *context, bool on)
{
	(void)context;
	on = on && hardware.lamp;
	if (hardware.lit != on) {
		part(LIGHT, on ? 1 : 0);
	}
	hardware.lit = on;
	return 0;
}

static bool light_shines(void *context)
{
	(void)context;
	return hardware.lit;
}

static void silence(void *context)
{
	(void)context;
	part(SILENCE, 1);
}

static int volume(void *context, uint8_t percent)
{
	(void)context;
	(void)percent;
	return 0;
}

static uint64_t now_us(void *context)
{
	(void)context;
	return hardware.now_us;
}

static const struct nsg_link_ops link_ops = {notify, slots, idle, mode, close_link};
static const struct nsg_microphone_ops microphone_ops = {microphone_start, microphone_stop};
static const struct nsg_camera_ops camera_ops = {camera_take, camera_stop, camera_release};
static const struct nsg_light_ops light_ops = {light_set, light_shines};
static const struct nsg_output_ops output_ops = {silence, volume};

static const struct nsg_capabilities capabilities = {
	.model = {(const uint8_t *)"Pipe", 4},
	.firmware = {(const uint8_t *)"1.0.0", 5},
	.features = 0x1FF,
	.mtu = NSG_MTU_MAX,
	.codecs_size = 2,
	.codecs = {{false, NSG_CODEC_OPUS, 64, NSG_AUDIO_RATE_HZ, NSG_AUDIO_FRAME_US},
		   {true, NSG_CODEC_OPUS, 64, NSG_AUDIO_RATE_HZ, NSG_AUDIO_FRAME_US}},
	.sizes_size = 2,
	.sizes = {{640, 480}, {1600, 1200}},
	.photo_max = NSG_PHOTO_MAX,
	.speaker_room = NSG_SPEAKER_ROOM,
};

static const struct nsg_app_config config = {
	&capabilities, &link_ops, &microphone_ops, &camera_ops, &light_ops, &output_ops, now_us, NULL, 0x5EED5EED,
};

static void audio_clock(struct nsg_app *app)
{
	uint8_t frame[NSG_AUDIO_FRAME_MAX];
	struct nsg_bytes bytes = {frame, FRAME_BYTES};
	uint16_t size = nsg_app_play(app, frame);

	if (size > 0) {
		put('Y', NULL, 0, frame, size);
	}
	if (hardware.microphone) {
		memset(frame, (int)(hardware.frames & 0xFFU), FRAME_BYTES);
		hardware.frames++;
		nsg_app_frame(app, bytes, hardware.now_us, false);
	}
}

static void shoot(struct nsg_app *app)
{
	struct nsg_photo_shot shot = {hardware.picture, hardware.picture_size, 0, 1};

	for (uint32_t i = 0; i < hardware.picture_size; i++) {
		hardware.picture[i] = (uint8_t)((i * 7U + i / 251U) & 0xFFU);
	}
	shot.taken = (uint32_t)(hardware.now_us - EXPOSURE_US / 2U);
	nsg_app_shot(app, hardware.picture_size > 0 ? &shot : NULL);
}

static void pass(struct nsg_app *app, uint32_t time_us)
{
	for (uint64_t end = hardware.now_us + time_us; hardware.now_us + STEP_US <= end;) {
		hardware.now_us += STEP_US;
		hardware.slots = hardware.slots_each;
		if (hardware.now_us % (2U * STEP_US) == 0) {
			audio_clock(app);
		}
		if (hardware.exposing && hardware.now_us >= hardware.exposed_us) {
			shoot(app);
		}
		nsg_app_poll(app);
	}
}

static void written(struct nsg_app *app, const uint8_t *data, size_t size)
{
	int status = nsg_app_write(app, (enum nsg_characteristic)data[0], data + 1, size - 1U);
	uint8_t error = (uint8_t)-status;

	put('W', &error, 1, NULL, 0);
}

static void described(struct nsg_app *app)
{
	uint8_t value[NSG_VALUE_MAX];
	int size = nsg_app_describe(app, value, sizeof(value));

	put('R', NULL, 0, value, (uint16_t)(size < 0 ? 0 : size));
}

static void happen(struct nsg_app *app, char kind, const uint8_t *data)
{
	switch (kind) {
	case 'B':
		nsg_app_button(app, data[0], (enum nsg_action)data[1]);
		break;
	case 'P':
		nsg_app_tap(app, data[0]);
		break;
	case 'G':
		nsg_app_gesture(app, (enum nsg_gesture)data[0], data[1]);
		break;
	case 'O':
		nsg_app_worn(app, data[0] != 0);
		break;
	case 'A':
		nsg_app_battery(app, data[0], data[1] != 0, (uint16_t)nsg_get(data + 2, 2));
		break;
	case 'H':
		nsg_app_hot(app, data[0] != 0);
		break;
	case 'L':
		hardware.lamp = data[0] != 0;
		hardware.lit = hardware.lit && hardware.lamp;
		break;
	case 'F':
		hardware.slots_each = (uint16_t)nsg_get(data, 2);
		break;
	case 'X':
		hardware.picture_size = (uint32_t)nsg_get(data, 4);
		hardware.picture_size = hardware.picture_size > NSG_PHOTO_MAX ? NSG_PHOTO_MAX : hardware.picture_size;
		break;
	default:
		fprintf(stderr, "a record of kind %c\n", kind);
		exit(1);
	}
}

static void take(struct nsg_app *app, char kind, const uint8_t *data, size_t size)
{
	switch (kind) {
	case 'C':
		nsg_app_connected(app, (uint16_t)nsg_get(data, 2));
		break;
	case 'U':
		nsg_app_mtu(app, (uint16_t)nsg_get(data, 2));
		break;
	case 'S':
		nsg_app_secured(app);
		break;
	case 'D':
		nsg_app_disconnected(app);
		break;
	case 'W':
		written(app, data, size);
		break;
	case 'R':
		described(app);
		break;
	case 'T':
		pass(app, (uint32_t)nsg_get(data, 4));
		break;
	default:
		happen(app, kind, data);
	}
}

int main(void)
{
	static struct nsg_app app;
	static uint8_t data[UINT16_MAX + 8U];
	uint8_t head[3];

	if (nsg_app_init(&app, &config) != 0) {
		fprintf(stderr, "the application does not start\n");
		return 1;
	}
	while (fread(head, 1, 3, stdin) == 3) {
		size_t size = (size_t)nsg_get(head + 1, 2);

		memset(data, 0, 8); /* so that a short record is one of zeros */
		if (fread(data, 1, size, stdin) != size || (head[0] == 'W' && size == 0)) {
			fprintf(stderr, "a record is cut off\n");
			return 1;
		}
		hardware.slots = hardware.slots_each;
		take(&app, (char)head[0], data, size);
		put('E', NULL, 0, NULL, 0);
		if (fflush(stdout) != 0) {
			return 1;
		}
	}
	return 0;
}
