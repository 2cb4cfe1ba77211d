"""Build stand-ins for CUDA and CANN, over which MindSpore's own GPU and Ascend plug-ins load where no card is.

    python tests/cards/standins.py FOLDER

Every function that the plug-ins call returns success and computes nothing; a few, in cuda.c and cann.c, have to answer
more than that. MindSpore's plug-ins are the unchanged ones of the wheel: they optimise graphs for the device, choose
formats, select kernels by data type and refuse what they do not know. So a refusal is real; numbers and times are not.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
INCLUDES = "#define _GNU_SOURCE\n" + "".join(
    f"#include <{name}.h>\n" for name in ("stddef", "stdlib", "string", "unistd", "sys/mman")
)
NVCC = '#!/bin/sh\necho "Cuda compilation tools, release 11.6, V11.6.124"\n'
# library -> the names of its functions
CUDA = {
    "libcudart.so.11.0": r"cuda[A-Z]",
    "libcudnn.so.8": r"cudnn",
    "libcublas.so.11": r"cublas",
    "libcusolver.so.11": r"cusolver",
    "libcusparse.so.11": r"cusparse",
    "libcufft.so.10": r"cufft",
    "libcurand.so.10": r"curand",
    "libnvrtc.so.11.2": r"nvrtc",
    "libcuda.so.1": r"cu[A-Z]",
    "libnccl.so.2": r"nccl[A-Z]",
}
# Libraries of CANN that only have to be there.
EMPTY = [
    "libacl_dvpp_mpi",
    "libacl_dvpp_op",
    "libaoe_executor",
    "libascend_hal",
    "libc_sec",
    "libcann_kb",
    "libcompress",
    "liberror_manager",
    "libge_runner",
    "libgraph",
    "libhost_cpu_engine",
    "libopskernel",
    "libplatform",
    "libruntime",
    "libslice",
]
SAME_AS_ACL = ["libacl_op_compiler", "libacl_tdt_channel", "libmsprofiler", "libhccl", "driver/libascend_hal"]
# Looked up by name at run time, so that no symbol table asks for them.
NNOP = [
    "aclDestroyTensor",
    "aclDestroyScalar",
    "aclDestroyIntArray",
    "aclDestroyFloatArray",
    "aclDestroyBoolArray",
    "aclDestroyTensorList",
    "aclDestroyScalarList",
    "aclDestroyAclOpExecutor",
    "aclSetAclOpExecutorRepeatable",
    "InitHugeMemThreadLocal",
    "UnInitHugeMemThreadLocal",
    "ReleaseHugeMem",
    "PTAGetExecCache",
    "InitPTACacheThreadLocal",
    "SetPTAHashKey",
    "CanUsePTACache",
]
NNOP_MAKES = [f"aclCreate{kind}" for kind in ("Tensor", "Scalar", "IntArray", "FloatArray", "BoolArray")]
NNOP_MAKES += ["aclCreateTensorList", "aclCreateScalarList"]


def mindspore_libraries() -> Path:
    """Return the folder of MindSpore's libraries, without loading any."""
    return Path(importlib.util.find_spec("mindspore").origin).parent / "lib"


def build(folder: Path) -> dict[str, dict[str, str]]:
    """Build both sets of stand-ins.

    Args:
        folder: Where they go; those that are there are written again.

    Returns:
        "GPU" and "Ascend" -> the environment variables under which MindSpore finds them.
    """
    libraries = mindspore_libraries()
    return {"GPU": _build_cuda(folder / "cuda", libraries), "Ascend": _build_cann(folder / "cann", libraries)}


def _build_cuda(folder: Path, libraries: Path) -> dict[str, str]:
    (folder / "home" / "bin").mkdir(parents=True, exist_ok=True)
    plugin = libraries / "plugin"
    users = [plugin / "libmindspore_gpu.so.11.6", plugin / "gpu/libcuda_ops.so.11"]
    users += [plugin / "gpu11.6/libnvidia_collective.so"]
    needed = set().union(*(symbols(path, "--undefined-only", "Uwv") for path in users))
    answers, shared = functions(HERE / "cuda.c")
    for name, pattern in CUDA.items():
        own = {symbol for symbol in needed if re.match(pattern, symbol)} | {
            symbol for symbol in answers if re.match(pattern, symbol)
        }
        source = INCLUDES + shared + "".join(code for symbol, code in answers.items() if symbol in own)
        for symbol in sorted(own - set(answers)):
            makes = "void **p) { *p = calloc(1, 4096);" if "Create" in symbol else "void) {"
            source += f"int {symbol}({makes} return 0; }}\n"
        _link(folder / name, source, (), version=name)
    # The kernels: of those that the library of the wheel defines, the ones that the plug-in calls.
    runtime = symbols(_system("libstdc++.so.6"), "--defined-only", "TWVuiD")
    kernels = symbols(plugin / "gpu/libcuda_ops.so.11", "--defined-only", "TWVu") & symbols(
        plugin / "libmindspore_gpu.so.11.6", "--undefined-only", "Uwv"
    )
    _link(folder / "libcuda_ops.so.11", "", kernels - runtime - {"_init", "_fini"})
    shim = folder / "home" / "bin" / "nvcc"  # MindSpore looks for a GPU only where this prints a version
    shim.write_text(NVCC)
    shim.chmod(0o755)
    return {
        "CUDA_HOME": str(folder / "home"),
        "LD_LIBRARY_PATH": str(folder),
        "LD_PRELOAD": f"{folder / 'libcuda_ops.so.11'}:{folder / 'libnccl.so.2'}",  # MindSpore's wheel has its own
    }


def _build_cann(folder: Path, libraries: Path) -> dict[str, str]:
    place = folder / "lib64"
    (place / "driver").mkdir(parents=True, exist_ok=True)
    (folder / "opp").mkdir(exist_ok=True)
    plugin = libraries / "plugin"
    names = _mentioned(plugin)
    aclnn = {name for name in names if name.startswith("aclnn")}
    answers, shared = functions(HERE / "cann.c")
    source, plain = INCLUDES + shared + "".join(answers.values()), set()
    for name in sorted((names - aclnn) | _missing(libraries)):
        if name in answers or name.startswith("aclnn"):
            continue
        if re.match(r"aclrtCreate|aclrtGetCurrentContext|aclrtMallocPhysical", name):
            source += f"int {name}(void **p) {{ *p = calloc(1, 4096); return 0; }}\n"
        elif re.match(r"acl\w*Create", name):
            source += f"void *{name}(void) {{ return calloc(1, 4096); }}\n"
        else:
            plain.add(name)
    for name in EMPTY:
        _link(place / f"{name}.so", "static int nothing;\n", ())
    for name in ["libascendcl", *SAME_AS_ACL]:
        _link(place / f"{name}.so", source, plain)
    makers = INCLUDES + "".join(f"void *{name}(void) {{ return calloc(1, 4096); }}\n" for name in NNOP_MAKES)
    _link(place / "libnnopbase.so", makers, NNOP)
    sizes = {f"{name}GetWorkspaceSize" for name in aclnn if not name.endswith("GetWorkspaceSize")}
    _link(place / "libopapi.so", makers, {*NNOP, *aclnn, *sizes})
    searched = (place, plugin / "ascend", plugin, libraries)
    return {
        "ASCEND_HOME_PATH": str(folder),
        "ASCEND_OPP_PATH": str(folder / "opp"),
        "LD_LIBRARY_PATH": ":".join(map(str, searched)),
    }


def _mentioned(plugin: Path) -> set[str]:
    """Return the functions of CANN whose names stand in MindSpore's libraries, to be looked up at run time."""
    files = [plugin / "ascend/libmindspore_ascend_res_manager.so", plugin / "libmindspore_ascend.so.2"]
    files += [plugin / "libmindspore_ops_ascend.so", plugin / "ascend/libmindspore_graph_ir.so"]
    pattern = r"(acl[a-z]*[A-Z]\w+|aclnn\w+|Hc[co][a-z]*[A-Z]\w+|ge[A-Z]\w+|GE\w+|rt[A-Z]\w+)"
    words = {word for path in files for word in _run("strings", "-n", "4", path).splitlines()}
    return {word for word in words if re.fullmatch(pattern, word) and not word.endswith("_")}


def _missing(libraries: Path) -> set[str]:
    """Return the symbols that MindSpore's Ascend libraries need and nothing on this machine defines."""
    plugin = libraries / "plugin"
    users = [path for path in (plugin / "ascend").rglob("*.so*") if "custom_a" not in str(path) and _is_native(path)]
    users += [plugin / "libmindspore_ops_ascend.so", plugin / "libmindspore_ascend.so.2"]
    around = [*libraries.glob("*.so*"), *libraries.parent.glob("_c_*.so"), plugin / "libmindspore_ops_cpu.so"]
    system = (
        "stdc++.so.6",
        "c.so.6",
        "m.so.6",
        "pthread.so.0",
        "dl.so.2",
        "rt.so.1",
        "gcc_s.so.1",
        "gomp.so.1",
        "z.so.1",
    )
    around += [path for path in (_system(f"lib{name}") for name in system) if path is not None]
    around += [path for path in (Path("/lib64/ld-linux-x86-64.so.2"), Path(sys.executable)) if path.exists()]
    have = set().union(*(symbols(path, "--defined-only", "TWVuiDBRA") for path in (*users, *around)))
    need = set().union(*(symbols(path, "--undefined-only", "U") for path in users))
    return {name for name in need - have if not name.startswith(("Py", "_Py"))} - {"_init", "_fini"}


def symbols(path: Path, option: str, kinds: str) -> set[str]:
    """Return the names of a library's dynamic symbols of some kinds, as `nm` marks them, without versions."""
    found = set()
    for line in _run("nm", "-D", option, path).splitlines():
        parts = line.split()
        if len(parts) >= 2 and parts[-2] in kinds:
            found.add(parts[-1].split("@")[0])
    return found


def functions(path: Path) -> tuple[dict[str, str], str]:
    """Split a C file at its blank lines: exported function -> its code, and the static code that they share."""
    exported, shared = {}, ""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="ascii"), flags=re.DOTALL)
    for code in filter(None, (part.strip() for part in re.split(r"\n\s*\n", text))):
        if code.startswith("static"):
            shared += code + "\n"
        else:
            exported[re.match(r"[\w\s*]*?\b(\w+)\(", code).group(1)] = code + "\n"
    return exported, shared


def _link(out: Path, source: str, zeros: Iterable[str], version: str | None = None) -> None:
    """Link C code, and functions that return 0 and 0.0, into a shared library."""
    lines = [".text"]
    for name in sorted(zeros):
        lines += [f'.globl "{name}"', f'.type "{name}",@function', f'"{name}":']
    lines += ["xorl %eax,%eax", "xorps %xmm0,%xmm0", "ret", '.section .note.GNU-stack,"",@progbits', ""]
    code, assembly, script = (out.with_name(f"{out.name}{suffix}") for suffix in (".c", ".s", ".map"))
    code.write_text(source)
    assembly.write_text("\n".join(lines))
    options = []
    if version:
        script.write_text(f"{version} {{ global: *; }};\n")
        options = [f"-Wl,--version-script={script}"]
    _run("gcc", "-w", "-shared", "-fPIC", *options, f"-Wl,-soname,{out.name}", "-o", out, code, assembly)


def _system(name: str) -> Path | None:
    places = (Path(folder) / name for folder in ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64"))
    return next((path for path in places if path.exists()), None)


def _is_native(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(20)
    return head[:4] == b"\x7fELF" and head[18:20] == b"\x3e\x00"  # x86-64


def _run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()[-500:]}")
    return done.stdout


if __name__ == "__main__":
    for device, variables in build(Path(sys.argv[1])).items():
        print(device, *(f"{name}={value}" for name, value in variables.items()), sep="\n  ")
