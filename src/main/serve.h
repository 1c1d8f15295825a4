// SPDX-License-Identifier: Apache-2.0
// `yagura serve`.
#ifndef YG_MAIN_SERVE_H
#define YG_MAIN_SERVE_H

// Runs until SIGTERM or SIGINT. Returns the process's exit code: 0 stopped as asked, 2 bad
// configuration, 3 address in use or not allowed, 4 data directory unusable or locked, 5 data
// damaged beyond automatic recovery, 70 internal failure.
int yg_serve(int argc, char *const *argv);

#endif
