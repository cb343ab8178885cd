#include <errno.h>

#include <nearsight/codec.h>

#include "events.h"

uint32_t nsg_now_ms(const struct nsg_app *app)
{
	return (uint32_t)(app->config->now_us(app->config->context) / 1000U & UINT32_MAX);
}

void nsg_count(uint16_t *counter)
{
	if (*counter < UINT16_MAX) {
		(*counter)++;
	}
}

int nsg_send(struct nsg_app *app, enum nsg_characteristic to, const struct nsg_message *message)
{
	uint8_t value[NSG_VALUE_MAX];
	int size = nsg_encode(message, value, nsg_capacity(app->mtu));

	if (size < 0) {
		return size;
	}
	return app->config->link->notify(app->config->context, to, value, (uint16_t)size);
}

void nsg_event(struct nsg_app *app, struct nsg_message *message, unsigned mask)
{
	if (!app->session || (mask != 0 && (app->event_mask & mask) == 0)) {
		return;
	}
	/* Sequence and time are the first fields of every event; `tap` has nothing before its own field but these. */
	message->as.tap.seq = app->event_seq++;
	message->as.tap.time = (uint32_t)(app->config->now_us(app->config->context) & UINT32_MAX);
	if (nsg_send(app, NSG_EVENTS, message) != 0) {
		nsg_count(&app->events_dropped);
	}
}

void nsg_app_button(struct nsg_app *app, uint8_t button, enum nsg_action action)
{
	struct nsg_message message = {.kind = NSG_BUTTON};

	message.as.button.button = button;
	message.as.button.action = (uint8_t)action;
	nsg_event(app, &message, NSG_EVENT_MASK_BUTTON);
}

void nsg_app_tap(struct nsg_app *app, uint8_t count)
{
	struct nsg_message message = {.kind = NSG_TAP};

	message.as.tap.count = count;
	nsg_event(app, &message, NSG_EVENT_MASK_TAP);
}

void nsg_app_gesture(struct nsg_app *app, enum nsg_gesture gesture, uint8_t confidence)
{
	struct nsg_message message = {.kind = NSG_HEAD_GESTURE};

	message.as.head_gesture.gesture = (uint8_t)gesture;
	message.as.head_gesture.confidence = confidence;
	nsg_event(app, &message, NSG_EVENT_MASK_GESTURE);
}
