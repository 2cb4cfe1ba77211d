/* What CANN's stand-ins answer where returning success is not enough: one Ascend 910B2 that computes nothing. */

const char *aclrtGetSocName(void) { return "Ascend910B2"; }

const char *aclGetRecentErrMsg(void) { return ""; }

int aclrtGetDeviceCount(unsigned *count) { *count = 1; return 0; }

int aclrtGetDevice(int *device) { *device = 0; return 0; }

int aclrtGetRunMode(int *mode) { *mode = 1; return 0; }

int aclrtGetMemInfo(int kind, size_t *free_, size_t *total) {
  *free_ = (size_t)30 << 30;
  *total = (size_t)32 << 30;
  return 0;
}

int aclrtMemcpy(void *to, size_t most, const void *from, size_t n, int kind) { memcpy(to, from, n); return 0; }

int aclrtMemcpyAsync(void *to, size_t most, const void *from, size_t n, int kind, void *stream) {
  memcpy(to, from, n);
  return 0;
}

int aclrtMemset(void *to, size_t most, int value, size_t n) { memset(to, value, n); return 0; }

int aclrtMemsetAsync(void *to, size_t most, int value, size_t n, void *stream) { memset(to, value, n); return 0; }

int aclrtReserveMemAddress(void **p, size_t n, size_t alignment, void *wanted, unsigned long flags) {
  *p = mmap(0, n, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return 0;
}

int aclrtMalloc(void **p, size_t n, int policy) {
  *p = mmap(0, n, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return 0;
}

int aclrtMallocAlign32(void **p, size_t n, int policy) {
  *p = mmap(0, n, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return 0;
}

int aclrtMallocHost(void **p, size_t n) { *p = malloc(n); return 0; }

size_t aclDataTypeSize(int type) { return 4; }

int aclrtQueryEventStatus(void *event, int *status) { *status = 1; return 0; }

int aclrtStreamQuery(void *stream, int *status) { *status = 0; return 0; }

int aclrtEventElapsedTime(float *ms, void *a, void *b) { *ms = 1; return 0; }

void *acltdtCreateChannelWithCapacity(void) { return 0; }

void *acltdtCreateChannel(void) { return 0; }

/* a thread waits here for printed tensors; there are none */
int acltdtReceiveTensor(void) { pause(); return 1; }

/* a thread waits here for callbacks; there are none, and without the wait it takes half of the processor */
int aclrtProcessReport(int ms) { usleep(100000); return 0; }

static long nothing(void) { return 0; }

/* ge::OperatorFactory: every operator exists, and an empty one is handed out; its methods all return 0 */
static void *methods[64] = {0, 0, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
                            nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing};

void *_ZN2ge15OperatorFactory14CreateOperatorEPKcS2_(char *made) {
  memset(made, 0, 24);
  *(void **)made = methods + 2;
  return made;
}

void *_ZN2ge15OperatorFactory14CreateOperatorERKSsS2_(char *made) {
  memset(made, 0, 24);
  *(void **)made = methods + 2;
  return made;
}

int _ZN2ge15OperatorFactory9IsExistOpEPKc(void) { return 1; }

int _ZN2ge15OperatorFactory9IsExistOpERKSs(void) { return 1; }
