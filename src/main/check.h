// SPDX-License-Identifier: Apache-2.0
// The commands fsck and inspect.
#ifndef YG_MAIN_CHECK_H
#define YG_MAIN_CHECK_H

// argv without program and command; the process' exit code.
int yg_fsck_command(int argc, char *const *argv);
int yg_inspect_command(int argc, char *const *argv);

#endif
