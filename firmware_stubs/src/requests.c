#include "requests.h"

#include <errno.h>

#include <nearsight/codec.h>

#include "capture.h"
#include "events.h"

static void refuse(struct nsg_app *app, uint8_t type, uint8_t request, enum nsg_status status)
{
	struct nsg_message message = {.kind = NSG_REFUSED};

	message.as.refused.refused = type;
	message.as.refused.request = request;
	message.as.refused.status = (uint8_t)status;
	(void)nsg_send(app, NSG_CONTROL, &message); /* no room: the host's patience ends */
}

static enum nsg_status status_of(int error)
{
	switch (error) {
	case 0:
		return NSG_STATUS_OK;
	case -EACCES:
		return NSG_STATUS_PRIVACY;
	case -ENOTSUP:
		return NSG_STATUS_UNSUPPORTED;
	default:
		return NSG_STATUS_FAILED;
	}
}

static bool sending(const struct nsg_app *app)
{
	return app->photo.state == NSG_PHOTO_WAITING || app->photo.state == NSG_PHOTO_MOVING;
}

static bool speaking(const struct nsg_app *app, uint8_t stream)
{
	return app->speaker.receiver.stream == stream && (app->speaker.state == NSG_SPEAKER_STATE_WAITING ||
							  app->speaker.state == NSG_SPEAKER_STATE_PLAYING);
}

void nsg_photo_give_up(struct nsg_app *app, enum nsg_status status)
{
	struct nsg_message message;

	if (!sending(app) && !app->camera) {
		return;
	}
	app->photo.head.object = app->object; /* also where the picture has not come yet */
	nsg_photo_abort(&app->photo, (uint8_t)status, &message);
	(void)nsg_send(app, NSG_PHOTO, &message);
	app->config->camera->release(app->config->context);
}

void nsg_speaker_tell(struct nsg_app *app)
{
	struct nsg_message message = {.kind = NSG_SPEAKER_REPORT};

	if (app->session && nsg_speaker_report(&app->speaker, nsg_now_ms(app), &message.as.speaker_report) &&
	    nsg_send(app, NSG_SPEAKER, &message) != 0) {
		app->speaker.changed = true; /* again, when there is room */
	}
}

static enum nsg_status may_capture(const struct nsg_app *app, bool has)
{
	if (!has) {
		return NSG_STATUS_UNSUPPORTED;
	}
	if (app->hot) {
		return NSG_STATUS_THERMAL;
	}
	return app->worn ? NSG_STATUS_OK : NSG_STATUS_NOT_WORN;
}

static enum nsg_status microphone_start(struct nsg_app *app, const struct nsg_microphone_start *wanted, uint8_t *stream)
{
	enum nsg_status status = may_capture(app, app->config->microphone != NULL);

	if (status != NSG_STATUS_OK) {
		return status;
	}
	if (app->microphone) {
		return NSG_STATUS_BUSY;
	}
	if (wanted->codec != NSG_CODEC_OPUS && wanted->codec != NSG_CODEC_LC3) {
		return NSG_STATUS_UNSUPPORTED;
	}
	status = status_of(nsg_capture_microphone(app, (enum nsg_codec)wanted->codec, wanted->kbps));
	if (status == NSG_STATUS_OK) {
		nsg_audio_sender_init(&app->audio, ++app->stream);
		*stream = app->stream;
	}
	return status;
}

static enum nsg_status take_photo(struct nsg_app *app, const struct nsg_take_photo *wanted, uint8_t *object)
{
	enum nsg_status status = may_capture(app, app->config->camera != NULL);

	if (status != NSG_STATUS_OK) {
		return status;
	}
	if (wanted->size >= app->config->capabilities->sizes_size) {
		return NSG_STATUS_BAD_ARGUMENT;
	}
	if (app->camera || sending(app)) {
		return NSG_STATUS_CAMERA_BUSY;
	}
	if (app->battery < NSG_BATTERY_CRITICAL && !app->charging) {
		return NSG_STATUS_LOW_BATTERY;
	}
	app->object = (uint8_t)(app->object == UINT8_MAX ? 1U : app->object + 1U);
	app->camera_ms = nsg_now_ms(app);
	*object = app->object;
	return status_of(
		nsg_capture_photo(app, &app->config->capabilities->sizes[wanted->size], wanted->quality));
}

static enum nsg_status speaker_open(struct nsg_app *app, const struct nsg_speaker_open *wanted, uint32_t *granted)
{
	if (app->config->output == NULL || wanted->codec != NSG_CODEC_OPUS) {
		return NSG_STATUS_UNSUPPORTED;
	}
	if (speaking(app, app->speaker.receiver.stream)) {
		app->config->output->silence(app->config->context);
	}
	nsg_speaker_open(&app->speaker, wanted->stream);
	*granted = app->speaker.granted;
	return NSG_STATUS_OK;
}

static enum nsg_status speaker_flush(struct nsg_app *app, uint8_t stream, uint32_t *played)
{
	if (app->config->output == NULL) {
		return NSG_STATUS_UNSUPPORTED;
	}
	if (app->speaker.receiver.stream != stream) {
		return NSG_STATUS_BAD_ARGUMENT;
	}
	*played = nsg_speaker_flush(&app->speaker, (uint32_t)(app->config->now_us(app->config->context) & UINT32_MAX));
	app->config->output->silence(app->config->context);
	return NSG_STATUS_OK;
}

static void fill_state(const struct nsg_app *app, struct nsg_state_reply *reply)
{
	uint32_t lost = nsg_speaker_lost(&app->speaker);

	reply->doing = nsg_doing(app);
	reply->battery = app->battery;
	reply->audio_dropped = app->audio_dropped;
	reply->events_dropped = app->events_dropped;
	reply->speaker_lost = (uint16_t)(lost < UINT16_MAX ? lost : UINT16_MAX);
	reply->malformed = app->malformed;
}

static enum nsg_status hello(struct nsg_app *app, const struct nsg_hello *hello, struct nsg_hello_reply *reply)
{
	if (hello->major != NSG_MAJOR) {
		return NSG_STATUS_VERSION;
	}
	if (!app->session) {
		app->session = true;
		app->event_seq = 0;
		app->event_mask = UINT16_MAX;
	}
	reply->major = NSG_MAJOR;
	reply->minor = NSG_MINOR;
	reply->mtu = app->mtu;
	reply->boot = app->config->boot;
	return NSG_STATUS_OK;
}

/** Those that concern speaker, volume and link; the rest are in answer(). */
static enum nsg_status answer_sound(struct nsg_app *app, const struct nsg_message *in, struct nsg_message *out)
{
	const struct nsg_app_config *config = app->config;

	switch (in->kind) {
	case NSG_SPEAKER_OPEN:
		out->as.speaker_open_reply.stream = in->as.speaker_open.stream;
		return speaker_open(app, &in->as.speaker_open, &out->as.speaker_open_reply.granted);
	case NSG_SPEAKER_CLOSE:
		out->as.speaker_close_reply.stream = in->as.speaker_close.stream;
		if (!speaking(app, in->as.speaker_close.stream)) {
			return NSG_STATUS_BAD_ARGUMENT;
		}
		nsg_speaker_close(&app->speaker);
		return NSG_STATUS_OK;
	case NSG_SPEAKER_FLUSH:
		out->as.speaker_flush_reply.stream = in->as.speaker_flush.stream;
		return speaker_flush(app, in->as.speaker_flush.stream, &out->as.speaker_flush_reply.played);
	case NSG_VOLUME:
		return config->output == NULL ? NSG_STATUS_UNSUPPORTED
					      : status_of(config->output->volume(config->context, in->as.volume.percent));
	case NSG_LINK:
		return status_of(config->link->mode(config->context, (enum nsg_link_mode)in->as.link.mode));
	default:
		return NSG_STATUS_UNSUPPORTED;
	}
}

static enum nsg_status answer(struct nsg_app *app, const struct nsg_message *in, struct nsg_message *out, uint64_t came_us)
{
	switch (in->kind) {
	case NSG_HELLO:
		return hello(app, &in->as.hello, &out->as.hello_reply);
	case NSG_CLOCK:
		out->as.clock_reply.t1 = in->as.clock.t1;
		out->as.clock_reply.t2 = came_us;
		out->as.clock_reply.held = (uint32_t)(app->config->now_us(app->config->context) - came_us);
		return NSG_STATUS_OK;
	case NSG_MICROPHONE_START:
		return microphone_start(app, &in->as.microphone_start, &out->as.microphone_start_reply.stream);
	case NSG_MICROPHONE_STOP:
		nsg_capture_stop(app, true, false, NSG_CAUSE_REQUEST);
		return NSG_STATUS_OK;
	case NSG_TAKE_PHOTO:
		return take_photo(app, &in->as.take_photo, &out->as.take_photo_reply.object);
	case NSG_LISTEN:
		app->event_mask = in->as.listen.mask;
		return NSG_STATUS_OK;
	case NSG_STATE:
		fill_state(app, &out->as.state_reply);
		return NSG_STATUS_OK;
	case NSG_BYE:
		nsg_photo_give_up(app, NSG_STATUS_CANCELLED);
		nsg_capture_stop(app, true, true, NSG_CAUSE_REQUEST);
		return NSG_STATUS_OK;
	default:
		return answer_sound(app, in, out);
	}
}

int nsg_request(struct nsg_app *app, const uint8_t *value, size_t size)
{
	uint64_t came_us = app->config->now_us(app->config->context);
	struct nsg_message in;
	struct nsg_message out = {.kind = NSG_REFUSED};
	enum nsg_status status;
	int error = nsg_decode(NSG_CHANNEL_REQUEST, value, size, &in);

	if (error != 0) {
		nsg_count(&app->malformed);
		if (size >= 2 && value[0] > 0 && value[0] < NSG_REPLY) {
			refuse(app, value[0], value[1],
			       error == -ENOTSUP ? NSG_STATUS_UNSUPPORTED : NSG_STATUS_BAD_ARGUMENT);
		}
		return -EBADMSG;
	}
	app->request_ms = nsg_now_ms(app);
	if (!app->session && in.kind != NSG_HELLO) {
		refuse(app, value[0], value[1], NSG_STATUS_NO_SESSION);
		return 0;
	}
	status = answer(app, &in, &out, came_us);
	if (status != NSG_STATUS_OK) {
		refuse(app, value[0], value[1], status);
		return 0;
	}
	/* Each request stands before its reply in the table, and each reply begins with the request's number. */
	out.kind = (enum nsg_kind)(in.kind + 1);
	out.as.clock_reply.request = value[1];
	(void)nsg_send(app, NSG_CONTROL, &out);
	nsg_speaker_tell(app);
	if (in.kind == NSG_BYE) {
		app->session = false;
		app->config->link->close(app->config->context);
	}
	return 0;
}
