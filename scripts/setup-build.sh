#!/bin/sh
# What the build needs beside Rust: a C compiler (SQLite and ring are built from source).
set -eu
if ! command -v cc >/dev/null 2>&1; then
    echo "setup: installing a C compiler"
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    $sudo apt-get update -q
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends gcc libc6-dev ca-certificates
fi
if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: there is no cargo: install Rust first (https://rustup.rs)" >&2
    exit 1
fi
