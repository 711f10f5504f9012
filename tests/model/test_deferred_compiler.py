"""timm is imported without torch's compiler."""

import subprocess
import sys

CODE = """
import sys
import torch
before = torch.compiler.disable
import convlift.model.backbone
compiler = [name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor", "sympy"))]
assert compiler == [], compiler
assert torch.compiler.disable is before
print("done")
"""


def test_timm_loads_no_compiler_and_torch_is_left_as_it_was():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("done\n", 0), found.stderr
