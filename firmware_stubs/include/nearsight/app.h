/*
 * The peripheral's application: link, requests, capture light, microphone, camera, speaker, events.
 *
 * It owns no thread and no clock. Everything below is called from one context (in Zephyr: one work queue); the hardware stands
 * behind the interface structs. Constant configuration is apart from mutable data, so that it can lie in flash.
 *
 * What holds whatever the host does:
 *  - microphone and camera have power only while the capture light shines and a session is open on an encrypted link;
 *  - they lose it when the link goes, when the host writes no request for 2 s, when the glasses are taken off, when the
 *    battery is critical, and when the light fails.
 */
#ifndef NEARSIGHT_APP_H
#define NEARSIGHT_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearsight/audio.h>
#include <nearsight/capabilities.h>
#include <nearsight/photo.h>
#include <nearsight/profile.h>
#include <nearsight/speaker.h>

enum nsg_characteristic {
	NSG_CONTROL,
	NSG_MICROPHONE,
	NSG_SPEAKER,
	NSG_PHOTO,
	NSG_EVENTS,
};

struct nsg_link_ops {
	/** Hands a notification to the stack. @retval 0 taken @retval -ENOBUFS no slot @retval -ENOTCONN no link */
	int (*notify)(void *context, enum nsg_characteristic to, const uint8_t *value, uint16_t size);
	/** Free transmit slots of the stack. */
	unsigned (*slots)(void *context);
	/** Whether all that was handed over has been sent. */
	bool (*idle)(void *context);
	/** Asks for connection parameters. @retval 0 asked @retval <0 refused */
	int (*mode)(void *context, enum nsg_link_mode mode);
	/** Closes the link after what was handed over has been sent. */
	void (*close)(void *context);
};

struct nsg_microphone_ops {
	/** @retval 0 running: frames come through nsg_app_frame() @retval -ENOTSUP no such codec @retval <0 failed */
	int (*start)(void *context, enum nsg_codec codec, uint8_t kbps);
	/** Takes its power away. Never fails. */
	void (*stop)(void *context);
};

struct nsg_camera_ops {
	/** @retval 0 the picture comes through nsg_app_shot() @retval <0 failed */
	int (*take)(void *context, const struct nsg_photo_size *size, uint8_t quality);
	/** Takes its power away; the last picture stays. Never fails. */
	void (*stop)(void *context);
	/** Frees the last picture, also one that is still to come: nsg_app_shot() is not called for it. */
	void (*release)(void *context);
};

struct nsg_light_ops {
	/** @retval 0 done @retval <0 the driver failed */
	int (*set)(void *context, bool on);
	/** Whether it shines, measured at the lamp, not at the driver. */
	bool (*shines)(void *context);
};

struct nsg_output_ops {
	/** Drops what the converter still holds, within 20 ms. */
	void (*silence)(void *context);
	/** @retval 0 set @retval <0 failed */
	int (*volume)(void *context, uint8_t percent);
};

struct nsg_app_config {
	const struct nsg_capabilities *capabilities;
	const struct nsg_link_ops *link;
	const struct nsg_microphone_ops *microphone; /**< NULL: there is none */
	const struct nsg_camera_ops *camera;         /**< NULL: there is none */
	const struct nsg_light_ops *light;           /**< NULL only where neither is there */
	const struct nsg_output_ops *output;         /**< NULL: no speaker */
	uint64_t (*now_us)(void *context);       /**< since start, monotonic */
	void *context;                           /**< handed to all of them */
	uint32_t boot;                           /**< a new random number after each start */
};

struct nsg_app {
	const struct nsg_app_config *config;
	struct nsg_audio_sender audio;
	struct nsg_photo_sender photo;
	struct nsg_speaker speaker;
	uint32_t request_ms; /**< when the host last wrote a request */
	uint32_t camera_ms;  /**< when the camera was started */
	uint16_t mtu;
	uint16_t event_seq;
	uint16_t event_mask;
	uint16_t events_dropped;
	uint16_t malformed;
	uint16_t audio_dropped;
	uint8_t object;
	uint8_t stream;
	uint8_t battery;
	bool connected;
	bool secured;
	bool session;
	bool microphone;
	bool camera;
	bool light;
	bool worn;
	bool charging;
	bool hot;
	bool low_told;
};

/**
 * Starts the application with everything off.
 *
 * @retval 0 done
 * @retval -EINVAL a microphone or a camera without a capture light, or a descriptor that cannot be written
 */
int nsg_app_init(struct nsg_app *app, const struct nsg_app_config *config);

/** What the descriptor's characteristic is read as. @return bytes @retval -EACCES the link is not encrypted */
int nsg_app_describe(const struct nsg_app *app, uint8_t *value, size_t room);

/* ---- the link -------------------------------------------------------------------------------------------------------- */

void nsg_app_connected(struct nsg_app *app, uint16_t mtu);
void nsg_app_mtu(struct nsg_app *app, uint16_t mtu);
/** The link is encrypted with the key of an LE Secure Connections bond. */
void nsg_app_secured(struct nsg_app *app);
void nsg_app_disconnected(struct nsg_app *app);

/**
 * Takes what the host wrote.
 *
 * @retval 0 taken; answers go through nsg_link_ops.notify
 * @retval -EACCES not encrypted: ATT error 0x0F, nothing else happens
 * @retval -EPERM this characteristic is not written
 * @retval -EBADMSG malformed (counted; a request that has a number has been refused)
 */
int nsg_app_write(struct nsg_app *app, enum nsg_characteristic to, const uint8_t *value, size_t size);

/* ---- the hardware ---------------------------------------------------------------------------------------------------- */

/** A frame of the microphone's codec; `time` is of its first sample, device clock in us. */
void nsg_app_frame(struct nsg_app *app, struct nsg_bytes frame, uint64_t time, bool speech);
/** The picture that was asked for, or NULL where the camera failed. Its bytes stay until nsg_camera_ops.release. */
void nsg_app_shot(struct nsg_app *app, const struct nsg_photo_shot *shot);
/** The audio clock, every 20 ms. @return bytes of the frame to play @retval 0 silence */
uint16_t nsg_app_play(struct nsg_app *app, uint8_t *out);
void nsg_app_button(struct nsg_app *app, uint8_t button, enum nsg_action action);
void nsg_app_tap(struct nsg_app *app, uint8_t count);
void nsg_app_gesture(struct nsg_app *app, enum nsg_gesture gesture, uint8_t confidence);
void nsg_app_worn(struct nsg_app *app, bool worn);
void nsg_app_battery(struct nsg_app *app, uint8_t percent, bool charging, uint16_t millivolts);
void nsg_app_hot(struct nsg_app *app, bool hot);

/** Timers and photo chunks: every 10 ms, and whenever the stack has sent something. */
void nsg_app_poll(struct nsg_app *app);

#endif
