// Umbrella header of libaccount: counting, evidence and stopping for training jobs.
// account/torch.h (link account::torch) is apart, so that this header needs no torch.
#pragma once

#include "account/export.h"
#include "account/keys.h"
#include "account/op_count.h"
#include "account/order_sender.h"
#include "account/run.h"
#include "account/status.h"
#include "account/totals.h"
#include "account/version.h"
