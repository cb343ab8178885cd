#include <nearsight/app.h>

#include <errno.h>
#include <string.h>

#include <nearsight/codec.h>

#include "capture.h"
#include "events.h"
#include "requests.h"

int nsg_app_init(struct nsg_app *app, const struct nsg_app_config *config)
{
	uint8_t value[NSG_VALUE_MAX];

	memset(app, 0, sizeof(*app));
	if ((config->microphone != NULL || config->camera != NULL) && config->light == NULL) {
		return -EINVAL;
	}
	if (nsg_capabilities_encode(config->capabilities, value, sizeof(value)) < 0) {
		return -EINVAL;
	}
	app->config = config;
	app->mtu = NSG_MTU_MIN;
	app->battery = 100;
	app->worn = true;
	nsg_capture_stop(app, true, true, NSG_CAUSE_LINK_LOST);
	return 0;
}

int nsg_app_describe(const struct nsg_app *app, uint8_t *value, size_t room)
{
	return app->secured ? nsg_capabilities_encode(app->config->capabilities, value, room) : -EACCES;
}

void nsg_app_connected(struct nsg_app *app, uint16_t mtu)
{
	nsg_app_disconnected(app); /* nothing of another link is left */
	app->connected = true;
	nsg_app_mtu(app, mtu);
	app->events_dropped = 0;
	app->audio_dropped = 0;
	app->malformed = 0;
}

void nsg_app_mtu(struct nsg_app *app, uint16_t mtu)
{
	app->mtu = (uint16_t)(mtu > NSG_MTU_MAX ? NSG_MTU_MAX : mtu < NSG_MTU_MIN ? NSG_MTU_MIN : mtu);
}

void nsg_app_secured(struct nsg_app *app)
{
	app->secured = app->connected;
}

void nsg_app_disconnected(struct nsg_app *app)
{
	const struct nsg_app_config *config = app->config;

	app->connected = false;
	app->secured = false;
	app->session = false;
	nsg_photo_give_up(app, NSG_STATUS_CANCELLED);
	nsg_capture_stop(app, true, true, NSG_CAUSE_LINK_LOST);
	if (config->output != NULL && (nsg_doing(app) & NSG_DOING_SPEAKER) != 0) {
		config->output->silence(config->context);
	}
	memset(&app->speaker, 0, sizeof(app->speaker));
	app->mtu = NSG_MTU_MIN;
}

static int receipt(struct nsg_app *app, const uint8_t *value, size_t size)
{
	bool moving = app->photo.state == NSG_PHOTO_WAITING || app->photo.state == NSG_PHOTO_MOVING;
	struct nsg_message message;

	if (nsg_decode(NSG_CHANNEL_RECEIPT, value, size, &message) != 0) {
		nsg_count(&app->malformed);
		return -EBADMSG;
	}
	if (app->camera && message.kind == NSG_PHOTO_DONE && message.as.photo_done.object == app->object) {
		/* Cancelled before the picture came. */
		nsg_capture_stop(app, false, true, NSG_CAUSE_REQUEST);
		app->config->camera->release(app->config->context);
		return 0;
	}
	nsg_photo_take(&app->photo, &message, nsg_now_ms(app));
	if (moving && app->photo.state != NSG_PHOTO_MOVING && app->photo.state != NSG_PHOTO_WAITING) {
		app->config->camera->release(app->config->context);
	}
	return 0;
}

int nsg_app_write(struct nsg_app *app, enum nsg_characteristic to, const uint8_t *value, size_t size)
{
	uint32_t malformed = app->speaker.malformed;

	if (!app->secured) {
		return -EACCES;
	}
	switch (to) {
	case NSG_CONTROL:
		return nsg_request(app, value, size);
	case NSG_PHOTO:
		return receipt(app, value, size);
	case NSG_SPEAKER:
		nsg_speaker_take(&app->speaker, value, size);
		nsg_speaker_tell(app);
		if (app->speaker.malformed != malformed) {
			nsg_count(&app->malformed);
			return -EBADMSG;
		}
		return 0;
	default:
		return -EPERM;
	}
}

static int emit(void *context, const uint8_t *value, uint16_t size)
{
	struct nsg_app *app = context;

	return app->config->link->notify(app->config->context, NSG_MICROPHONE, value, size);
}

void nsg_app_frame(struct nsg_app *app, struct nsg_bytes frame, uint64_t time, bool speech)
{
	uint32_t dropped = app->audio.dropped;

	if (!app->microphone || !app->session) {
		return; /* the driver's last frames after the stop */
	}
	(void)nsg_audio_send(&app->audio, frame, (uint32_t)(time & UINT32_MAX), speech, app->mtu, emit, app);
	for (; dropped != app->audio.dropped; dropped++) {
		nsg_count(&app->audio_dropped);
	}
}

void nsg_app_shot(struct nsg_app *app, const struct nsg_photo_shot *shot)
{
	struct nsg_message message = {.kind = NSG_FAULT};

	if (!app->camera) {
		app->config->camera->release(app->config->context); /* it was given up meanwhile */
		return;
	}
	if (shot != NULL &&
	    nsg_photo_begin(&app->photo, app->object, shot, app->mtu, nsg_now_ms(app)) == 0) {
		nsg_capture_stop(app, false, true, NSG_CAUSE_FINISHED);
		nsg_app_poll(app);
		return;
	}
	nsg_photo_give_up(app, NSG_STATUS_FAILED);
	nsg_capture_stop(app, false, true, NSG_CAUSE_FAILED);
	message.as.fault.status = (uint8_t)NSG_STATUS_FAILED;
	nsg_event(app, &message, 0);
}

uint16_t nsg_app_play(struct nsg_app *app, uint8_t *out)
{
	uint32_t clock = (uint32_t)(app->config->now_us(app->config->context) & UINT32_MAX);
	uint16_t size = nsg_speaker_play(&app->speaker, clock, out);

	nsg_speaker_tell(app);
	return size;
}

/** Everything off, for a reason that is no request. */
static void stop(struct nsg_app *app, enum nsg_cause cause, enum nsg_status status)
{
	if (app->camera) {
		nsg_photo_give_up(app, status);
	}
	nsg_capture_stop(app, true, true, cause);
}

void nsg_app_worn(struct nsg_app *app, bool worn)
{
	struct nsg_message message = {.kind = NSG_WEAR};

	if (worn == app->worn) {
		return;
	}
	app->worn = worn;
	message.as.wear.worn = worn ? 1U : 0U;
	nsg_event(app, &message, NSG_EVENT_MASK_WEAR);
	if (!worn && (app->microphone || app->camera)) {
		stop(app, NSG_CAUSE_NOT_WORN, NSG_STATUS_NOT_WORN);
	}
}

void nsg_app_battery(struct nsg_app *app, uint8_t percent, bool charging, uint16_t millivolts)
{
	struct nsg_message message = {.kind = NSG_BATTERY};

	message.as.battery.percent = percent > 100 ? 100 : percent;
	message.as.battery.charging = charging ? 1U : 0U;
	message.as.battery.millivolts = millivolts;
	if (app->battery != message.as.battery.percent || app->charging != charging) {
		app->battery = message.as.battery.percent;
		app->charging = charging;
		nsg_event(app, &message, NSG_EVENT_MASK_BATTERY);
	}
	if (app->battery >= NSG_BATTERY_LOW || charging) {
		app->low_told = false;
	} else if (!app->low_told) {
		app->low_told = true;
		message.kind = NSG_FAULT;
		message.as.fault.status = (uint8_t)NSG_STATUS_LOW_BATTERY;
		nsg_event(app, &message, 0);
	}
	if (app->battery < NSG_BATTERY_CRITICAL && !charging && app->camera) {
		nsg_photo_give_up(app, NSG_STATUS_LOW_BATTERY);
		nsg_capture_stop(app, false, true, NSG_CAUSE_LOW_BATTERY);
	}
}

void nsg_app_hot(struct nsg_app *app, bool hot)
{
	struct nsg_message message = {.kind = NSG_FAULT};

	if (hot && !app->hot) {
		message.as.fault.status = (uint8_t)NSG_STATUS_THERMAL;
		nsg_event(app, &message, 0);
		if (app->microphone || app->camera) {
			stop(app, NSG_CAUSE_FAILED, NSG_STATUS_THERMAL);
		}
	}
	app->hot = hot;
}

static void guard(struct nsg_app *app, uint32_t now_ms)
{
	struct nsg_message message = {.kind = NSG_FAULT};

	if (!app->microphone && !app->camera) {
		return;
	}
	if (now_ms - app->request_ms >= NSG_HOST_SILENCE_MS) {
		stop(app, NSG_CAUSE_HOST_SILENT, NSG_STATUS_TIMEOUT);
	} else if (!nsg_capture_lit(app)) {
		stop(app, NSG_CAUSE_LIGHT, NSG_STATUS_PRIVACY);
		message.as.fault.status = (uint8_t)NSG_STATUS_PRIVACY;
		nsg_event(app, &message, 0);
	} else if (app->camera && now_ms - app->camera_ms >= NSG_CAPTURE_MS) {
		nsg_photo_give_up(app, NSG_STATUS_FAILED);
		nsg_capture_stop(app, false, true, NSG_CAUSE_FAILED);
	}
}

/** Sound waits behind one chunk at most. */
static bool photo_may(const struct nsg_app *app)
{
	const struct nsg_link_ops *link = app->config->link;

	return link->slots(app->config->context) > NSG_TX_RESERVED &&
	       (!app->microphone || link->idle(app->config->context));
}

void nsg_app_poll(struct nsg_app *app)
{
	uint32_t now_ms = nsg_now_ms(app);
	struct nsg_message message;

	guard(app, now_ms);
	nsg_speaker_tell(app);
	while (app->session && photo_may(app) && nsg_photo_next(&app->photo, now_ms, &message) == 0) {
		(void)nsg_send(app, NSG_PHOTO, &message); /* what is lost here is sent again */
		if (message.kind == NSG_PHOTO_ABORT) {
			app->config->camera->release(app->config->context);
		}
	}
}
