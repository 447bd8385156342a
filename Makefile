# holm: the two commands are `make release` and `make test`; `make help` lists the rest.

GO          ?= go
TARGETS     ?= all
URL         ?= http://127.0.0.1:8417
VERSION     ?=
FUZZTIME    ?= 10m
BENCH       ?=
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED ?= 0

.PHONY: help release serve test unit acceptance lint soak bench deps build clean

help:
	@echo 'make release     build, package, sign and publish a rehearsal release into ./site'
	@echo '                 TARGETS=host builds for this machine alone; VERSION=1.2.3, URL=http://… override'
	@echo 'make serve       serve ./site at $(URL)'
	@echo 'make test        every test, with what it needs installed (Debian or Ubuntu)'
	@echo 'make unit        the tests that need no other system'
	@echo 'make acceptance  the published site against real apt, dnf and zypper'
	@echo 'make lint        gofmt, vet for three systems, staticcheck, house rules'
	@echo 'make soak        the long versions of the tests, and FUZZTIME=10m of fuzzing for each parser'
	@echo 'make bench       holm beside restic and borg; BENCH="trees=a runs=1" for a part (as root, on Debian)'
	@echo 'make build       the programs, into ./bin'
	@echo 'make clean       remove what make made, the keys excepted'

# The publisher is built first, for this machine; it makes everything else.
bin/holm-publish: build-publisher
.PHONY: build-publisher
build-publisher:
	@$(GO) build -trimpath -o bin/holm-publish ./cmd/holm-publish

release: bin/holm-publish
	bin/holm-publish key new --if-missing --channel stable
	bin/holm-publish release --channel stable --targets '$(TARGETS)' --url '$(URL)' $(if $(VERSION),--version '$(VERSION)')

serve: bin/holm-publish
	bin/holm-publish serve --listen '$(patsubst http://%,%,$(URL))'

build:
	$(GO) build -trimpath -o bin/ ./cmd/...

test: deps lint unit acceptance

deps:
	@acceptance/deps.sh

# -count=1: Go does not see when a client that tests run is installed or
# changed, and would report what was left out without it as passed.
unit:
	$(GO) test -count=1 -timeout 30m $$($(GO) list ./... | grep -v '/acceptance$$')

acceptance: bin/holm-publish
	$(GO) test -count=1 -timeout 60m ./acceptance

lint:
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$fmt" ]; then echo "gofmt would change:"; echo "$$fmt"; exit 1; fi
	GOOS=linux   $(GO) vet ./...
	GOOS=linux   $(GO) vet -tags gendocs ./cmd/...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin  $(GO) vet ./...
	GOOS=linux $(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 .

soak:
	HOLM_SOAK=1 $(GO) test -count=1 -timeout 6h ./...
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$package || exit 1; \
		done; \
	done

bench: build
	$(GO) run ./acceptance/bench $(BENCH)

clean:
	rm -rf bin dist site
