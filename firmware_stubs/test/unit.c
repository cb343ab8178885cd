/* What the tests over a pipe cannot reach: a descriptor without a light, drivers that fail, arithmetic at its ends. */
#include <stdio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nearsight/app.h>
#include <nearsight/codec.h>

#define CHECK(condition) check((condition), #condition, __LINE__)

static unsigned checks;

static void check(bool holds, const char *what, int line)
{
	checks++;
	if (!holds) {
		fprintf(stderr, "unit.c:%d: %s does not hold\n", line, what);
		exit(1);
	}
}

/* ---- hardware that fails when told ---- */

static struct {
	uint64_t now_us;
	int microphone_error;
	int camera_error;
	int light_error;
	bool microphone;
	bool camera;
	bool light;
	bool dark; /* the driver says yes, the lamp does not shine */
	bool crossed; /* a sensor had power while the lamp was off */
	unsigned notified;
	uint8_t last[NSG_VALUE_MAX];
} fake;

static void look(void)
{
	fake.crossed = fake.crossed || ((fake.microphone || fake.camera) && !fake.light);
}

static int notify(void *context, enum nsg_characteristic from, const uint8_t *value, uint16_t size)
{
	(void)context;
	fake.notified++;
	if (from == NSG_CONTROL) {
		memcpy(fake.last, value, size);
	}
	return 0;
}

static unsigned slots(void *context)
{
	(void)context;
	return 4;
}

static bool idle(void *context)
{
	(void)context;
	return true;
}

static int mode(void *context, enum nsg_link_mode wanted)
{
	(void)context;
	(void)wanted;
	return -EIO;
}

static void close_link(void *context)
{
	(void)context;
}

static int microphone_start(void *context, enum nsg_codec codec, uint8_t kbps)
{
	(void)context;
	(void)codec;
	(void)kbps;
	fake.microphone = true; /* a driver may fail with its power on */
	look();
	return fake.microphone_error;
}

static void microphone_stop(void *context)
{
	(void)context;
	fake.microphone = false;
}

static int camera_take(void *context, const struct nsg_photo_size *size, uint8_t quality)
{
	(void)context;
	(void)size;
	(void)quality;
	fake.camera = true;
	look();
	return fake.camera_error;
}

static void camera_stop(void *context)
{
	(void)context;
	fake.camera = false;
}

static void camera_release(void *context)
{
	(void)context;
}

static int light_set(void *context, bool on)
{
	(void)context;
	fake.light = on && !fake.dark && fake.light_error == 0;
	look();
	return on ? fake.light_error : 0;
}

static bool light_shines(void *context)
{
	(void)context;
	return fake.light;
}

static uint64_t now_us(void *context)
{
	(void)context;
	return fake.now_us;
}

static const struct nsg_link_ops link_ops = {notify, slots, idle, mode, close_link};
static const struct nsg_microphone_ops microphone_ops = {microphone_start, microphone_stop};
static const struct nsg_camera_ops camera_ops = {camera_take, camera_stop, camera_release};
static const struct nsg_light_ops light_ops = {light_set, light_shines};

static const struct nsg_capabilities capabilities = {
	.model = {(const uint8_t *)"Unit", 4},
	.firmware = {(const uint8_t *)"0", 1},
	.features = NSG_FEATURE_MICROPHONE | NSG_FEATURE_CAMERA | NSG_FEATURE_LIGHT,
	.mtu = 247,
	.sizes_size = 1,
	.sizes = {{640, 480}},
	.photo_max = 1000,
};

static const struct nsg_app_config config = {
	&capabilities, &link_ops, &microphone_ops, &camera_ops, &light_ops, NULL, now_us, NULL, 1,
};

static struct nsg_app app;

static uint8_t ask(const uint8_t *value, size_t size)
{
	CHECK(nsg_app_write(&app, NSG_CONTROL, value, size) == 0);
	CHECK(fake.last[0] == (value[0] | NSG_REPLY) && fake.last[1] == value[1]);
	return fake.last[2];
}

static void start(void)
{
	static const uint8_t hello[] = {1, 1, 0, 2, NSG_MAJOR, 0};

	memset(&fake, 0, sizeof(fake));
	CHECK(nsg_app_init(&app, &config) == 0);
	nsg_app_connected(&app, 247);
	nsg_app_secured(&app);
	CHECK(ask(hello, sizeof(hello)) == NSG_STATUS_OK);
}

static const uint8_t microphone[] = {3, 2, 0, 2, NSG_CODEC_OPUS, 32};
static const uint8_t photo[] = {5, 3, 0, 2, 0, 80};

static void test_no_light_no_capture(void)
{
	start();
	fake.light_error = -EIO;
	CHECK(ask(microphone, sizeof(microphone)) == NSG_STATUS_PRIVACY && !fake.microphone);
	CHECK(ask(photo, sizeof(photo)) == NSG_STATUS_PRIVACY && !fake.camera);
	fake.light_error = 0;
	fake.dark = true;
	CHECK(ask(microphone, sizeof(microphone)) == NSG_STATUS_PRIVACY && !fake.microphone);
	fake.dark = false;
	CHECK(ask(microphone, sizeof(microphone)) == NSG_STATUS_OK && fake.microphone && fake.light);
	fake.light = false; /* it breaks */
	nsg_app_poll(&app);
	CHECK(!fake.microphone && !app.microphone);
}

static void test_a_driver_that_fails_is_switched_off(void)
{
	start();
	fake.microphone_error = -EIO;
	CHECK(ask(microphone, sizeof(microphone)) == NSG_STATUS_FAILED && !fake.microphone && !fake.light);
	fake.camera_error = -EIO;
	CHECK(ask(photo, sizeof(photo)) == NSG_STATUS_FAILED && !fake.camera && !fake.light);
	CHECK(!fake.crossed);
}

static void test_the_light_outlasts_the_sensors(void)
{
	static const uint8_t stop[] = {4, 9, 0, 0};

	start();
	CHECK(ask(microphone, sizeof(microphone)) == NSG_STATUS_OK);
	CHECK(ask(photo, sizeof(photo)) == NSG_STATUS_OK);
	CHECK(ask(stop, sizeof(stop)) == NSG_STATUS_OK && fake.light && fake.camera);
	nsg_app_shot(&app, NULL);
	CHECK(!fake.camera && !fake.light && !fake.crossed);
}

static void test_parts_that_are_missing(void)
{
	static const uint8_t open[] = {6, 4, 0, 2, 1, NSG_CODEC_OPUS};
	static const uint8_t volume[] = {9, 5, 0, 1, 50};
	static const uint8_t link[] = {11, 6, 0, 1, 1};
	struct nsg_app_config dark = config;

	start();
	CHECK(ask(open, sizeof(open)) == NSG_STATUS_UNSUPPORTED);
	CHECK(ask(volume, sizeof(volume)) == NSG_STATUS_UNSUPPORTED);
	CHECK(ask(link, sizeof(link)) == NSG_STATUS_FAILED);
	dark.light = NULL;
	CHECK(nsg_app_init(&app, &dark) == -EINVAL);
}

static void test_the_clock_may_wrap(void)
{
	start();
	fake.now_us = (uint64_t)UINT32_MAX * 1000U - 500000U;
	CHECK(ask(microphone, sizeof(microphone)) == NSG_STATUS_OK);
	fake.now_us += 1999000U;
	nsg_app_poll(&app);
	CHECK(fake.microphone);
	fake.now_us += 2000U;
	nsg_app_poll(&app);
	CHECK(!fake.microphone && !fake.light);
}

static void test_numbers(void)
{
	static const uint8_t digits[] = "123456789";
	struct nsg_message message = {.kind = NSG_BUTTON};
	uint8_t value[8];

	CHECK(nsg_crc32(0, digits, 9) == 0xCBF43926U);
	CHECK(nsg_crc32(nsg_crc32(0, digits, 4), digits + 4, 5) == 0xCBF43926U);
	CHECK(nsg_capacity(22) == 0 && nsg_capacity(23) == 20 && nsg_capacity(517) == 512 && nsg_capacity(518) == 0);
	CHECK(nsg_encode(&message, value, sizeof(value)) == -ENOSPC);
	message.as.button.button = 8;
	CHECK(nsg_encode(&message, value, sizeof(value)) < 0);
	message.kind = NSG_KINDS;
	CHECK(nsg_encode(&message, value, sizeof(value)) == -EINVAL);
}

int main(void)
{
	test_no_light_no_capture();
	test_a_driver_that_fails_is_switched_off();
	test_the_light_outlasts_the_sensors();
	test_parts_that_are_missing();
	test_the_clock_may_wrap();
	test_numbers();
	printf("%u checks\n", checks);
	return 0;
}
