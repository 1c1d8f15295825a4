// SPDX-License-Identifier: Apache-2.0
// Calls that yagura never makes; force-included into every file, so that using one does not
// compile.
#ifndef YG_BASE_BANNED_H
#define YG_BASE_BANNED_H

#ifndef __ASSEMBLER__ // it is force-included into the embedded page as well

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gmtime localtime rand srand atoi atol     \
    atof alloca

#endif
#endif
