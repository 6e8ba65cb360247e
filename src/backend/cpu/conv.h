/* conv.h: what the dense and the depthwise convolutions share. */
#ifndef CAJAL_BACKEND_CPU_CONV_H
#define CAJAL_BACKEND_CPU_CONV_H

#include "backend/conv_axis.h"
#include "backend/cpu/cpu.h"

#endif
