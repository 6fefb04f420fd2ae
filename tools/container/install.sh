#!/bin/sh
# Installs the package into a new virtual environment, for a container: install.sh SOURCE VENV [cuda|cpu]
#
# cuda: PyTorch as on PyPI, which brings CUDA's libraries; the machine needs NVIDIA's driver only.
# cpu:  PyTorch without CUDA from PyTorch's own index, some 200 MB in place of 5 GB. Of one version pip takes that with
#       +cpu in its name.
set -eu

source=$1
venv=$2
case ${3:-cuda} in
    cuda) set -- ;;
    cpu) set -- --extra-index-url https://download.pytorch.org/whl/cpu ;;
    *)
        echo "install.sh: $3 is no device: give cuda or cpu." >&2
        exit 2
        ;;
esac

python3 -m venv "$venv"
"$venv/bin/python" -m pip install "$@" "$source[beam,cluster,hub,huggingface,lhotse,onnx,phones,remote,tensorboard,text]"
