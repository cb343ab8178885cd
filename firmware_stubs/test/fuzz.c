/*
 * Looks for crashes. Alone: fuzz INPUTS [SEED], with mutations of its own; with libFuzzer: make fuzzer.
 * An input is a row of steps: u8 operation, u8 size, bytes.
 */
#include <stdio.h>

#include "step.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct state state;
	size_t at = 0;

	step_reset(&state);
	while (size - at >= 2) {
		size_t length = data[at + 1];
		uint8_t op = (uint8_t)(data[at] % OPS);

		at += 2;
		length = length < size - at ? length : size - at;
		step(&state, op, data + at, length);
		at += length;
	}
	return 0;
}

#ifndef NSG_LIBFUZZER

static uint64_t seed = 88172645463325252ULL;

static uint32_t chance(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % below;
}

/** A message of that layout with every field within its limits, then perhaps damaged. */
static size_t seem(uint8_t *value, const struct nsg_layout *layout)
{
	size_t size = 0;
	uint32_t tail = layout->shortest;

	for (uint8_t i = 0; i < layout->fields_size; i++) {
		uint64_t span = layout->fields[i].high - layout->fields[i].low;
		uint64_t number = layout->fields[i].low + (span == 0 ? 0 : (seed ^ chance(UINT32_MAX)) % span);

		nsg_put(value + size, number, layout->fields[i].size);
		size += layout->fields[i].size;
	}
	tail += chance(3) == 0 && layout->longest > tail ? chance(100) : 0;
	for (; tail > 0; tail--) {
		value[size++] = (uint8_t)chance(256);
	}
	return size;
}

static size_t damage(uint8_t *value, size_t size)
{
	for (uint32_t times = chance(4); times > 0 && size > 0; times--) {
		switch (chance(4)) {
		case 0:
			size = chance((uint32_t)size + 1U);
			break;
		case 1:
			value[size] = (uint8_t)chance(256);
			size++;
			break;
		default:
			value[chance((uint32_t)size)] = (uint8_t)chance(256);
		}
	}
	return size;
}

/** Photo number 7 at a clock that goes slowly, so that it lives for a while. */
static size_t photo(uint8_t *value, uint8_t op, uint32_t turn)
{
	nsg_put(value, turn / 100U, 4);
	if (op == OP_PHOTO_BEGIN) {
		value[0] = 7;
		nsg_put(value + 1, chance(2) == 0 ? 23 : 247, 2);
		nsg_put(value + 3, turn / 100U, 4);
		memset(value + 7, 1, 5U + 900U);
		return 12U + chance(900);
	}
	if (op == OP_PHOTO_TAKE) {
		memset(value + 4, 0, 20);
		value[4] = chance(50) == 0 ? 0x12 : 0x11;
		value[5] = 7;
		value[6] = (uint8_t)(chance(6) * chance(6));
		value[8] = (uint8_t)(chance(2) == 0 ? 0 : chance(32));
		return value[4] == 0x12 ? 7 : 24;
	}
	return 4;
}

static size_t descriptor(uint8_t *value)
{
	static const uint8_t whole[] = {
		1, 0, 56, 0, 1, 3, 'A', 0xC3, 0xA9, 2, 1, '1', 4, 4, 0xFF, 1, 0, 0, 9, 2, 0xF7, 0, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8,
		5, 6, 1, 64, 0x80, 0x3E, 0x20, 0x4E, 7, 4, 0x80, 2, 0xE0, 1, 8, 8, 0, 0, 1, 0, 0, 16, 0, 0, 0xEE, 2, 1, 2,
	};

	memcpy(value, whole, sizeof(whole));
	return sizeof(whole);
}

static size_t guess(uint8_t *value, uint8_t op, uint32_t turn)
{
	size_t size = 4 + chance(60);

	if (op < NSG_CHANNELS) {
		/* Mostly of this channel: those of the others are only unknown. */
		const struct nsg_layout *layout = &nsg_layouts[chance(NSG_REFUSED)];

		for (int tries = 0; tries < 20 && layout->channel != (enum nsg_channel)op; tries++) {
			layout = &nsg_layouts[chance(NSG_REFUSED)];
		}
		return damage(value, seem(value, layout));
	}
	if (op == OP_PHOTO_BEGIN || op == OP_PHOTO_NEXT || op == OP_PHOTO_TAKE) {
		size = photo(value, op, turn);
		return chance(20) == 0 ? damage(value, size) : size;
	}
	if (op == OP_CAPABILITIES) {
		return damage(value, descriptor(value));
	}
	for (size_t i = 4; i < size; i++) {
		value[i] = (uint8_t)chance(256);
	}
	nsg_put(value, turn, 2); /* sequences and clocks that go on */
	value[2] = (uint8_t)chance(16);
	value[3] = 0;
	return damage(value, size);
}

int main(int argc, char **argv)
{
	unsigned long inputs = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	static struct state state;
	static uint8_t value[1024];

	seed ^= argc > 2 ? strtoull(argv[2], NULL, 10) << 1 : 0;
	step_reset(&state);
	for (unsigned long i = 0; i < inputs; i++) {
		uint8_t op = (uint8_t)chance(OPS);

		if (op == OP_PHOTO_BEGIN && chance(20) != 0) {
			op = OP_PHOTO_NEXT;
		}
		step(&state, op, value, guess(value, op, (uint32_t)i));
		if (i % 50000 == 49999) {
			step_reset(&state);
		}
	}
	printf("%lu inputs\n", inputs);
	return 0;
}

#endif
