# The few commands that everything starts from.
.DEFAULT_GOAL := build
.PHONY: setup build run test format lint bench

PACKAGES := liburing-dev libsodium-dev libssl-dev liblz4-dev libsecp256k1-dev liblmdb-dev libsqlite3-dev \
	pkg-config unicode-data python3-venv

setup:
	@dpkg -s $(PACKAGES) >/dev/null 2>&1 || { \
	  SUDO=; [ "$$(id -u)" = 0 ] || SUDO=sudo; \
	  $$SUDO apt-get update && $$SUDO apt-get install -y $(PACKAGES); }

build: setup
	swift build

test: setup lint
	swift test

format:
	swift format -i -r Package.swift Sources Tests

lint:
	swift format lint --strict -r Package.swift Sources Tests
