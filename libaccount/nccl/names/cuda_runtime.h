// The two names that nccl.h takes from CUDA's headers, as CUDA declares them: so that nccl.h is all
// that is needed to build, and no CUDA toolkit.
#pragma once
#include <stddef.h>

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
