#ifndef NEARSIGHT_CAPTURE_H
#define NEARSIGHT_CAPTURE_H

#include <nearsight/app.h>

/** enum nsg_doing of this moment. */
uint16_t nsg_doing(const struct nsg_app *app);

/** Lights the lamp and looks at it. @retval 0 it shines @retval -EACCES it does not; everything is off */
int nsg_capture_light(struct nsg_app *app);

/** Light, then microphone. @retval 0 running @retval -EACCES no light @retval <0 as nsg_microphone_ops.start */
int nsg_capture_microphone(struct nsg_app *app, enum nsg_codec codec, uint8_t kbps);

/** Light, then camera. @retval 0 running @retval -EACCES no light @retval <0 as nsg_camera_ops.take */
int nsg_capture_photo(struct nsg_app *app, const struct nsg_photo_size *size, uint8_t quality);

/** Takes the power of one or both away, then of the light where nothing is left on. */
void nsg_capture_stop(struct nsg_app *app, bool microphone, bool camera, enum nsg_cause cause);

/** Whether the lamp shines. */
bool nsg_capture_lit(const struct nsg_app *app);

#endif
