#ifndef NEARSIGHT_EVENTS_H
#define NEARSIGHT_EVENTS_H

#include <nearsight/app.h>

/** Sends a message. @retval 0 handed over @retval <0 no room, no link, or no message */
int nsg_send(struct nsg_app *app, enum nsg_characteristic to, const struct nsg_message *message);

/** Numbers, dates and sends an event, where the host wants it. `mask` is 0 for those that are always sent. */
void nsg_event(struct nsg_app *app, struct nsg_message *message, unsigned mask);

/** The device clock in ms, low 32 bits. */
uint32_t nsg_now_ms(const struct nsg_app *app);

/** Adds 1 to a counter that stays at its end. */
void nsg_count(uint16_t *counter);

#endif
