/* The one place that gives power to microphone, camera and capture light. */
#include <errno.h>

#include "capture.h"
#include "events.h"

uint16_t nsg_doing(const struct nsg_app *app)
{
	unsigned doing = 0;

	doing |= app->microphone ? (unsigned)NSG_DOING_MICROPHONE : 0U;
	doing |= app->camera ? (unsigned)NSG_DOING_CAMERA : 0U;
	doing |= app->light ? (unsigned)NSG_DOING_LIGHT : 0U;
	doing |= app->worn ? (unsigned)NSG_DOING_WORN : 0U;
	doing |= app->charging ? (unsigned)NSG_DOING_CHARGING : 0U;
	if (app->speaker.state == NSG_SPEAKER_STATE_WAITING || app->speaker.state == NSG_SPEAKER_STATE_PLAYING) {
		doing |= (unsigned)NSG_DOING_SPEAKER;
	}
	if (app->photo.state == NSG_PHOTO_WAITING || app->photo.state == NSG_PHOTO_MOVING) {
		doing |= (unsigned)NSG_DOING_SENDING;
	}
	return (uint16_t)doing;
}

static void tell(struct nsg_app *app, enum nsg_cause cause)
{
	struct nsg_message message = {.kind = NSG_CAPTURE};

	message.as.capture.doing = nsg_doing(app);
	message.as.capture.cause = (uint8_t)cause;
	nsg_event(app, &message, 0);
}

int nsg_capture_light(struct nsg_app *app)
{
	const struct nsg_light_ops *light = app->config->light;

	if (light == NULL || light->set(app->config->context, true) != 0 || !light->shines(app->config->context)) {
		nsg_capture_stop(app, true, true, NSG_CAUSE_LIGHT);
		return -EACCES;
	}
	app->light = true;
	return 0;
}

int nsg_capture_microphone(struct nsg_app *app, enum nsg_codec codec, uint8_t kbps)
{
	int status = nsg_capture_light(app);

	if (status != 0) {
		return status;
	}
	status = app->config->microphone->start(app->config->context, codec, kbps);
	app->microphone = status == 0;
	if (status != 0) {
		nsg_capture_stop(app, true, false, NSG_CAUSE_FAILED);
	} else {
		tell(app, NSG_CAUSE_REQUEST);
	}
	return status;
}

int nsg_capture_photo(struct nsg_app *app, const struct nsg_photo_size *size, uint8_t quality)
{
	int status = nsg_capture_light(app);

	if (status != 0) {
		return status;
	}
	status = app->config->camera->take(app->config->context, size, quality);
	app->camera = status == 0;
	if (status != 0) {
		nsg_capture_stop(app, false, true, NSG_CAUSE_FAILED);
	} else {
		tell(app, NSG_CAUSE_REQUEST);
	}
	return status;
}

void nsg_capture_stop(struct nsg_app *app, bool microphone, bool camera, enum nsg_cause cause)
{
	const struct nsg_app_config *config = app->config;
	bool changed = (microphone && app->microphone) || (camera && app->camera) || app->light;

	/* Stopping what is stopped does no harm; not stopping what a driver left on would. */
	if (microphone && config->microphone != NULL) {
		config->microphone->stop(config->context);
		app->microphone = false;
	}
	if (camera && config->camera != NULL) {
		config->camera->stop(config->context);
		app->camera = false;
	}
	/* Sensors first, the light last. */
	if (!app->microphone && !app->camera && config->light != NULL) {
		(void)config->light->set(config->context, false);
		app->light = false;
	}
	if (changed) {
		tell(app, cause);
	}
}

bool nsg_capture_lit(const struct nsg_app *app)
{
	return app->config->light != NULL && app->config->light->shines(app->config->context);
}
