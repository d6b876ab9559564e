// nccl.h includes this for device code only; see cuda_runtime.h beside it.
#pragma once
