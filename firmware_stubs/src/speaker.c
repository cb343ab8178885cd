#include <nearsight/speaker.h>

#include <errno.h>
#include <string.h>

static bool open(const struct nsg_speaker *speaker)
{
	return speaker->state == NSG_SPEAKER_STATE_WAITING || speaker->state == NSG_SPEAKER_STATE_PLAYING;
}

static void to(struct nsg_speaker *speaker, enum nsg_speaker_state state)
{
	speaker->changed = speaker->changed || speaker->state != state;
	speaker->state = state;
}

static void push(struct nsg_speaker *speaker, const uint8_t *data, uint16_t size)
{
	for (uint16_t i = 0; i < size; i++) {
		speaker->ring[speaker->write] = data[i];
		speaker->write = (uint16_t)((speaker->write + 1U) % NSG_SPEAKER_ROOM);
	}
	speaker->used = (uint16_t)(speaker->used + size);
}

static void pull(struct nsg_speaker *speaker, uint8_t *data, uint16_t size)
{
	for (uint16_t i = 0; i < size; i++) {
		data[i] = speaker->ring[speaker->read];
		speaker->read = (uint16_t)((speaker->read + 1U) % NSG_SPEAKER_ROOM);
	}
	speaker->used = (uint16_t)(speaker->used - size);
}

void nsg_speaker_open(struct nsg_speaker *speaker, uint8_t stream)
{
	memset(speaker, 0, sizeof(*speaker));
	nsg_audio_receiver_init(&speaker->receiver, stream);
	speaker->state = NSG_SPEAKER_STATE_WAITING;
	speaker->granted = NSG_SPEAKER_ROOM;
}

void nsg_speaker_take(struct nsg_speaker *speaker, const uint8_t *value, size_t size)
{
	struct nsg_audio_frame frame;
	uint32_t before = speaker->receiver.lost;
	uint8_t length[2];
	int status;

	if (!open(speaker)) {
		return;
	}
	status = nsg_audio_take(&speaker->receiver, value, size, &frame);
	speaker->changed = speaker->changed || speaker->receiver.lost != before;
	if (status == -EBADMSG) {
		speaker->malformed++;
	}
	if (status != 1) {
		return;
	}
	if (speaker->granted - speaker->spent < frame.data.size + NSG_FRAME_COST) {
		speaker->overrun++;
		speaker->changed = true;
		return;
	}
	/* The credits never exceed the room, and two of the bytes that a frame costs beside its own are enough here. */
	speaker->spent += frame.data.size + NSG_FRAME_COST;
	length[0] = (uint8_t)(frame.data.size & 0xFFU);
	length[1] = (uint8_t)(frame.data.size >> 8);
	push(speaker, length, sizeof(length));
	push(speaker, frame.data.data, frame.data.size);
	speaker->frames++;
}

/** Whether to start: also where the host may not be able to send another frame before this end has played one. */
static bool enough(const struct nsg_speaker *speaker)
{
	bool full = speaker->granted - speaker->spent < NSG_AUDIO_FRAME_MAX + NSG_FRAME_COST;

	return speaker->frames >= NSG_SPEAKER_START || speaker->closed || full;
}

uint16_t nsg_speaker_play(struct nsg_speaker *speaker, uint32_t clock_us, uint8_t *out)
{
	uint8_t length[2];
	uint16_t size;

	if (speaker->state == NSG_SPEAKER_STATE_PLAYING) {
		speaker->played_us += NSG_AUDIO_FRAME_US; /* the frame given out before has been heard */
	} else if (speaker->state != NSG_SPEAKER_STATE_WAITING || !enough(speaker)) {
		return 0;
	}
	speaker->clock_us = clock_us;
	if (speaker->frames == 0) {
		if (!speaker->closed && speaker->underruns < UINT16_MAX) {
			speaker->underruns++;
		}
		to(speaker, speaker->closed ? NSG_SPEAKER_STATE_DRAINED : NSG_SPEAKER_STATE_WAITING);
		return 0;
	}
	to(speaker, NSG_SPEAKER_STATE_PLAYING);
	pull(speaker, length, sizeof(length));
	size = (uint16_t)(length[0] | (unsigned)length[1] << 8);
	pull(speaker, out, size);
	speaker->frames--;
	speaker->granted += size + NSG_FRAME_COST;
	return size;
}

void nsg_speaker_close(struct nsg_speaker *speaker)
{
	speaker->closed = true;
}

uint32_t nsg_speaker_flush(struct nsg_speaker *speaker, uint32_t clock_us)
{
	speaker->read = speaker->write;
	speaker->used = 0;
	speaker->frames = 0;
	if (open(speaker)) {
		speaker->clock_us = clock_us;
		to(speaker, NSG_SPEAKER_STATE_FLUSHED);
	}
	return speaker->played_us;
}

uint32_t nsg_speaker_lost(const struct nsg_speaker *speaker)
{
	return speaker->receiver.lost + speaker->overrun;
}

bool nsg_speaker_report(struct nsg_speaker *speaker, uint32_t now_ms, struct nsg_speaker_report *report)
{
	bool due = !speaker->reported || now_ms - speaker->reported_ms >= NSG_REPORT_MS;
	uint32_t lost = nsg_speaker_lost(speaker);

	if (!speaker->changed && !(open(speaker) && due)) {
		return false;
	}
	speaker->changed = false;
	speaker->reported = true;
	speaker->reported_ms = now_ms;
	report->stream = speaker->receiver.stream;
	report->state = (uint8_t)speaker->state;
	report->underruns = speaker->underruns;
	report->lost = (uint16_t)(lost < UINT16_MAX ? lost : UINT16_MAX);
	report->granted = speaker->granted;
	report->played = speaker->played_us;
	report->clock = speaker->clock_us;
	return true;
}
