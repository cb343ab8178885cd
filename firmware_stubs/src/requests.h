#ifndef NEARSIGHT_REQUESTS_H
#define NEARSIGHT_REQUESTS_H

#include <nearsight/app.h>

/**
 * Answers one write to the control characteristic.
 *
 * @retval 0 answered
 * @retval -EBADMSG malformed; refused where it has a number
 */
int nsg_request(struct nsg_app *app, const uint8_t *value, size_t size);

/** Ends the photo that is being taken or sent, if there is one, and tells the host. */
void nsg_photo_give_up(struct nsg_app *app, enum nsg_status status);

/** Sends the speaker's report where one is due. */
void nsg_speaker_tell(struct nsg_app *app);

#endif
