/* schedule.h: what schedules share. */
#ifndef CAJAL_NN_SCHEDULE_H
#define CAJAL_NN_SCHEDULE_H

#include "nn/model.h"

/* Of every schedule: cj__schedule_now sees to it, whichever row has an option of this name. */
#define CJ__WARMUP_OPTION(s)                                                                       \
    CJ_OPTION_INT(s, warmup, 0, 0, 1e15, "steps of linear rise before the schedule begins")

/* Half a cosine from one value to another, p from 0 to 1. */
double cj__cosine(double from, double to, double p);

#endif
