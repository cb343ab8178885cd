/*
 * Answers the differential test: records of u8 operation, u16 size, bytes on standard input; for each, u32 CRC-32 of the result
 * on standard output. With -v the result itself follows, after its u32 size. Operation 255 answers nothing and empties the buffer.
 */
#include <stdio.h>

#include "step.h"

int main(int argc, char **argv)
{
	static struct state state;
	static uint8_t data[UINT16_MAX];
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	uint8_t head[8];

	step_reset(&state);
	while (fread(head, 1, 3, stdin) == 3) {
		size_t size = (size_t)nsg_get(head + 1, 2);

		if (head[0] == UINT8_MAX) {
			(void)fflush(stdout);
			continue;
		}
		if (head[0] >= OPS || fread(data, 1, size, stdin) != size) {
			fprintf(stderr, "a record of operation %u is cut off or unknown\n", head[0]);
			return 1;
		}
		step(&state, head[0], data, size);
		nsg_put(head, nsg_crc32(0, state.result, state.size), 4);
		nsg_put(head + 4, state.size, 4);
		if (fwrite(head, 1, verbose ? 8 : 4, stdout) == 0 ||
		    (verbose && fwrite(state.result, 1, state.size, stdout) != state.size)) {
			return 1;
		}
	}
	return fflush(stdout) != 0 || ferror(stdin) ? 1 : 0;
}
