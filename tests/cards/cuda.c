/* What the CUDA libraries' stand-ins answer where returning success is not enough: one card that computes nothing.

   Functions stand apart by blank lines; standins.py puts each into the library that its name belongs to. */

int cudaGetDeviceCount(int *count) { *count = 1; return 0; }

/* CUDA 11's cudaDeviceProp by offset: compute capability 8.0, 16 GB, 108 multiprocessors */
int cudaGetDeviceProperties(char *p, int device) {
  int *threads = (int *)(p + 324), *grid = (int *)(p + 336);
  memset(p, 0, 712);
  strcpy(p, "stand-in");
  *(size_t *)(p + 288) = 16ull << 30; /* totalGlobalMem */
  *(size_t *)(p + 296) = 49152;       /* sharedMemPerBlock */
  *(int *)(p + 304) = 65536;          /* regsPerBlock */
  *(int *)(p + 308) = 32;             /* warpSize */
  *(int *)(p + 320) = 1024;           /* maxThreadsPerBlock */
  threads[0] = 1024, threads[1] = 1024, threads[2] = 64;
  grid[0] = 2147483647, grid[1] = 65535, grid[2] = 65535;
  *(int *)(p + 360) = 8; /* major */
  *(int *)(p + 364) = 0; /* minor */
  *(int *)(p + 388) = 108;
  return 0;
}

int cudaMalloc(void **p, size_t n) {
  *p = mmap(0, n, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return 0;
}

int cudaHostAlloc(void **p, size_t n, unsigned flags) { *p = malloc(n); return 0; }

int cudaFreeHost(void *p) { free(p); return 0; }

int cudaMemGetInfo(size_t *free_, size_t *total) { *free_ = 12ull << 30; *total = 16ull << 30; return 0; }

int cudaMemcpy(void *to, const void *from, size_t n, int kind) { memcpy(to, from, n); return 0; }

int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *stream) { memcpy(to, from, n); return 0; }

int cudaMemset(void *to, int value, size_t n) { memset(to, value, n); return 0; }

int cudaMemsetAsync(void *to, int value, size_t n, void *stream) { memset(to, value, n); return 0; }

const char *cudaGetErrorName(int error) { return "stand-in"; }

const char *cudaGetErrorString(int error) { return "stand-in"; }

int cudaEventElapsedTime(float *ms, void *a, void *b) { *ms = 1; return 0; }

const char *cudnnGetErrorString(int error) { return "stand-in"; }

size_t cudnnGetVersion(void) { return 8906; }

int nvrtcVersion(int *major, int *minor) { *major = 11; *minor = 6; return 0; }

int cudnnGetConvolutionForwardAlgorithm_v7(void *h, void *a, void *b, void *c, void *d, int n, int *found, int *p) {
  *found = 1;
  memset(p, 0, 40);
  p[0] = 1;
  return 0;
}

int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *h, void *a, void *b, void *c, void *d, int n, int *found, int *p) {
  *found = 1;
  memset(p, 0, 40);
  p[0] = 1;
  return 0;
}

int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *h, void *a, void *b, void *c, void *d, int n, int *found, int *p) {
  *found = 1;
  memset(p, 0, 40);
  p[0] = 1;
  return 0;
}

/* a descriptor holds the size in bytes that MindSpore compares with its own; type 2 is half, 1 double */
static size_t width(int type) { return type == 2 ? 2 : type == 1 ? 8 : 4; }

int cudnnSetTensor4dDescriptor(size_t *d, int format, int type, int n, int c, int h, int w) {
  *d = (size_t)n * c * h * w * width(type);
  return 0;
}

int cudnnSetTensor4dDescriptorEx(size_t *d, int type, int n, int c, int h, int w, int a, int b, int e, int g) {
  *d = (size_t)n * c * h * w * width(type);
  return 0;
}

int cudnnSetTensorNdDescriptor(size_t *d, int type, int rank, const int *dims, const int *strides) {
  *d = width(type);
  for (int i = 0; i < rank; i++) *d *= dims[i];
  return 0;
}

int cudnnSetTensorNdDescriptorEx(size_t *d, int format, int type, int rank, const int *dims) {
  *d = width(type);
  for (int i = 0; i < rank; i++) *d *= dims[i];
  return 0;
}

int cudnnSetFilter4dDescriptor(size_t *d, int type, int format, int n, int c, int h, int w) {
  *d = (size_t)n * c * h * w * width(type);
  return 0;
}

int cudnnSetFilterNdDescriptor(size_t *d, int type, int format, int rank, const int *dims) {
  *d = width(type);
  for (int i = 0; i < rank; i++) *d *= dims[i];
  return 0;
}

int cudnnGetTensorSizeInBytes(size_t *d, size_t *bytes) { *bytes = *d; return 0; }

int cudnnGetFilterSizeInBytes(size_t *d, size_t *bytes) { *bytes = *d; return 0; }

int cudnnGetReductionWorkspaceSize(void *h, void *a, void *b, void *c, size_t *bytes) { *bytes = 0; return 0; }

int cudnnGetReductionIndicesSize(void *h, void *a, void *b, void *c, size_t *bytes) { *bytes = 0; return 0; }

int cudnnGetConvolutionForwardWorkspaceSize(void *h, void *a, void *b, void *c, void *d, int g, size_t *bytes) {
  *bytes = 0;
  return 0;
}

int cudnnGetConvolutionBackwardDataWorkspaceSize(void *h, void *a, void *b, void *c, void *d, int g, size_t *bytes) {
  *bytes = 0;
  return 0;
}

int cudnnGetConvolutionBackwardFilterWorkspaceSize(void *h, void *a, void *b, void *c, void *d, int g, size_t *bytes) {
  *bytes = 0;
  return 0;
}

int cuGetErrorName(int error, const char **name) { *name = "stand-in"; return 0; }

/* NVIDIA's run-time library asks the driver first; here it is told that there is none */
int cuInit(unsigned flags) { return 100; }

int cuDriverGetVersion(int *version) { *version = 12020; return 0; }

int cuGetProcAddress(const char *name, void **p, int version, unsigned long long flags) { *p = 0; return 500; }

int cuDeviceGetCount(int *count) { *count = 0; return 100; }

int cuGetExportTable(const void **p, const void *id) { return 100; }
