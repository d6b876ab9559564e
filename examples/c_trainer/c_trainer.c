// Trains a linear classifier of handwritten digits in plain C, with products of its own: a trainer
// that no framework counts. It says what each product computes, closes its steps, obeys stops, asks
// before it writes its weights, and goes on from what a stop let it save.
//
//   c_trainer DIGITS.csv WEIGHTS [EPOCHS [MICROSECONDS A STEP]]
//
// DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a
// line.
#define _DEFAULT_SOURCE
#include <account/c.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 1792, PIXELS = 64, DIGITS = 10, BATCH = 32, STEPS = ROWS / BATCH };

static float images[ROWS][PIXELS];
static int digits[ROWS];

// All that training goes on from.
static struct {
  float weights[PIXELS][DIGITS];
  int steps;
} state;

static int read_digits(const char* path) {
  FILE* file = fopen(path, "r");
  if (file == NULL) return 0;
  int rows = 0, good = 1;
  for (; rows < ROWS && good; ++rows) {
    for (int pixel = 0; pixel < PIXELS; ++pixel) {
      good = good && fscanf(file, "%f,", &images[rows][pixel]) == 1;
      images[rows][pixel] /= 16;
    }
    good = good && fscanf(file, "%d", &digits[rows]) == 1;
  }
  fclose(file);
  return good;
}

// to[m][n] += a * b, of row-major a and b; `transposed`: of a's transpose. 2 m n k operations.
static void multiply(int m, int n, int k, const float* a, int transposed, const float* b, float* to,
                     const char* phase) {
  for (int i = 0; i < m; ++i) {
    for (int p = 0; p < k; ++p) {
      const float factor = transposed ? a[p * m + i] : a[i * k + p];
      for (int j = 0; j < n; ++j) to[i * n + j] += factor * b[p * n + j];
    }
  }
  const account_op_count operations = {.low = 2ULL * (unsigned)m * (unsigned)n * (unsigned)k};
  if (account_add(operations, "c_trainer::multiply", "float32", phase, "train") != ACCOUNT_OK) {
    fprintf(stderr, "%s; training goes on\n", account_error());
  }
}

static float train_on(float (*batch)[PIXELS], const int* labels) {
  static float scores[BATCH][DIGITS], gradient[PIXELS][DIGITS];
  memset(scores, 0, sizeof scores);
  memset(gradient, 0, sizeof gradient);
  multiply(BATCH, DIGITS, PIXELS, &batch[0][0], 0, &state.weights[0][0], &scores[0][0], "forward");
  float loss = 0;
  for (int row = 0; row < BATCH; ++row) {
    float sum = 0;
    for (int digit = 0; digit < DIGITS; ++digit) sum += expf(scores[row][digit]);
    loss += logf(sum) - scores[row][labels[row]];
    for (int digit = 0; digit < DIGITS; ++digit) {
      scores[row][digit] = (expf(scores[row][digit]) / sum - (digit == labels[row])) / BATCH;
    }
  }
  multiply(PIXELS, DIGITS, BATCH, &batch[0][0], 1, &scores[0][0], &gradient[0][0], "backward");
  for (int pixel = 0; pixel < PIXELS; ++pixel) {
    for (int digit = 0; digit < DIGITS; ++digit) {
      state.weights[pixel][digit] -= 0.5F * gradient[pixel][digit];
    }
  }
  return loss / BATCH;
}

static account_code save_state(void* context, account_sink write, void* to) {
  (void)context;
  return write(to, &state, sizeof state);
}

typedef struct {
  char bytes[sizeof state];
  size_t size;
} Buffer;

static account_code append(void* to, const void* bytes, size_t size) {
  Buffer* buffer = to;
  if (size > sizeof buffer->bytes - buffer->size) return ACCOUNT_CORRUPT;
  memcpy(buffer->bytes + buffer->size, bytes, size);
  buffer->size += size;
  return ACCOUNT_OK;
}

// Goes on from what a stop let this run save; begins anew where there is nothing.
static account_code restore(const account_run* run) {
  static Buffer buffer;
  const account_code code = account_read_state(run, append, &buffer);
  if (code == ACCOUNT_NOT_FOUND) return ACCOUNT_OK;
  if (code == ACCOUNT_OK && buffer.size == sizeof state) memcpy(&state, buffer.bytes, sizeof state);
  return code;
}

static int fail(account_code code) {
  fprintf(stderr, "c_trainer: %s\n", account_error());
  return account_exit_code(code);
}

// The exit code. The gate is asked before the first byte.
static int save_weights(const char* path) {
  const account_code code = account_may_export("c_trainer", path);
  if (code != ACCOUNT_OK) return fail(code);
  FILE* file = fopen(path, "wb");
  const int written = file != NULL && fwrite(state.weights, sizeof state.weights, 1, file) == 1;
  if (file != NULL && fclose(file) == 0 && written) return 0;
  fprintf(stderr, "c_trainer: %s cannot be written: %s\n", path, strerror(errno));
  return 1;
}

int main(int argc, char** argv) {
  if (argc < 3 || !read_digits(argv[1])) {
    fprintf(stderr, "c_trainer DIGITS.csv WEIGHTS [EPOCHS [MICROSECONDS A STEP]]\n");
    return 1;
  }
  const int epochs = argc > 3 ? atoi(argv[3]) : 3;
  const account_options options = {.size = sizeof options,
                                   .model = "digits/linear",
                                   .framework = "c_trainer 1",
                                   .save_state = save_state};
  account_run* run = NULL;
  account_code code = account_start(&options, &run);
  if (code != ACCOUNT_OK) return fail(code);
  code = restore(run);
  if (code != ACCOUNT_OK) return fail(code);
  while (state.steps < epochs * STEPS) {
    const int row = state.steps % STEPS * BATCH;
    const float loss = train_on(&images[row], &digits[row]);
    printf("%d %.6f\n", state.steps++, loss);
    fflush(stdout);
    account_processed(run, BATCH, 0);
    code = account_step(run);
    if (code != ACCOUNT_OK) return fail(code);
    if (argc > 4) usleep((useconds_t)atoi(argv[4]));
  }
  account_figures figures;
  account_totals(run, &figures);
  printf("operations %llu\n", (unsigned long long)figures.executed.low);
  const int failed = save_weights(argv[2]);
  code = account_finish(&run);
  return failed ? failed : account_exit_code(code);
}
