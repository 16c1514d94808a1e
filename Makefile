# make demo    installs missing packages, builds, and shows the time example at http://localhost:7788; Ctrl-C ends it
# make demo-shop shows the shop example instead
# make test    installs missing packages and runs all tests: swift test, then real emitters, clients and a browser
# make build   builds the programs for release
# make install builds the programs with the Swift runtime linked in and installs them, the systemd unit, the manual pages
#              and the completions; PREFIX=/usr/local and DESTDIR= set the destination. make uninstall removes them
# make deb     builds the Debian package into dist/
# make bench   measures CPU time per delivered message beside the original Python service, python-socketio and nchan
# make bench-growth measures deliveries with 10 to 19,000 clients, 1 to 100,000 rooms, 100 B to 1 MB; memory; pauses
# make bench-micro compares codec, packet writer, room index and frame outlet with a committed baseline
# make format  formats the Swift sources; make lint only checks them
# make fuzz    fuzzes the pickle codec with coverage under the address sanitizer for 60 seconds; SECONDS=600 for longer
.PHONY: demo demo-shop test build bench bench-growth bench-micro format lint fuzz standalone install uninstall deb

demo:
	@scripts/demo

demo-shop:
	@scripts/demo shop

test:
	@scripts/install-packages build demo test
	@scripts/require-swift
	swift build --build-tests
	swift test
	@scripts/integration-tests

build:
	@scripts/install-packages build
	@scripts/require-swift
	swift build -c release --product ws-emit
	swift build -c release --product subspy

fuzz:
	@Benchmarks/PickleCodecBenchmarks/fuzz $(SECONDS)

bench:
	@Benchmarks/fanout/run

bench-growth:
	@Benchmarks/growth/run

bench-micro:
	@Benchmarks/BridgeBenchmarks/run

format:
	swift format --in-place --recursive Package.swift Sources Tests example

lint:
	swift format lint --strict --recursive Package.swift Sources Tests example

# Installed programs contain the Swift runtime and need no toolchain, so they have a build separate from `make build`. make
# compares file times, so that `sudo make install` after `make standalone` builds nothing as root.
STANDALONE = .build/standalone
PROGRAMS = ws-emit subspy
SHARE = $(STANDALONE)/share

standalone: $(STANDALONE)/built

$(STANDALONE)/built: Package.swift $(shell find Sources -type f) scripts/manual-pages scripts/completions \
		$(wildcard docs/man/*)
	@scripts/install-packages build
	@scripts/require-swift
	for program in $(PROGRAMS); do \
		swift build -c release --static-swift-stdlib --scratch-path $(STANDALONE) --product $$program \
			--disable-local-rpath -Xswiftc -no-toolchain-stdlib-rpath -Xlinker -z -Xlinker now -Xlinker -s || exit; \
	done
	rm -rf $(SHARE)
	for program in $(PROGRAMS); do \
		scripts/manual-pages $(STANDALONE)/release/$$program $(SHARE)/man1 docs/man/$$program.1 && \
		scripts/completions $(STANDALONE)/release/$$program $(SHARE)/completions || exit; \
	done
	touch $@

PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
UNITDIR = $(PREFIX)/lib/systemd/system
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
# The unit reads its settings here, whatever the prefix.
DEFAULTDIR = /etc/default

install: standalone
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(MANDIR)/man1 $(UNITDIR) $(BASHDIR) $(ZSHDIR) $(FISHDIR) $(DEFAULTDIR))
	install $(addprefix $(STANDALONE)/release/,$(PROGRAMS)) $(DESTDIR)$(BINDIR)
	ln -sf ws-emit $(DESTDIR)$(BINDIR)/ws-emit.py
	install -m 644 $(SHARE)/man1/*.1 $(DESTDIR)$(MANDIR)/man1
	ln -sf ws-emit.1 $(DESTDIR)$(MANDIR)/man1/ws-emit.py.1
	for program in $(PROGRAMS); do \
		install -m 644 $(SHARE)/completions/$$program.bash $(DESTDIR)$(BASHDIR)/$$program && \
		install -m 644 $(SHARE)/completions/$$program.zsh $(DESTDIR)$(ZSHDIR)/_$$program && \
		install -m 644 $(SHARE)/completions/$$program.fish $(DESTDIR)$(FISHDIR)/$$program.fish || exit; \
	done
	sed 's|/usr/local/bin/|$(BINDIR)/|' contrib/ws-emit.service > $(DESTDIR)$(UNITDIR)/ws-emit.service
	chmod 644 $(DESTDIR)$(UNITDIR)/ws-emit.service
	# The file holds a secret and the Redis password. An existing one stays.
	test -e $(DESTDIR)$(DEFAULTDIR)/ws-emit || install -m 640 contrib/ws-emit $(DESTDIR)$(DEFAULTDIR)/ws-emit

uninstall:
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,$(PROGRAMS) ws-emit.py) $(DESTDIR)$(UNITDIR)/ws-emit.service
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man1/,$(addsuffix .1,$(PROGRAMS)) ws-emit.py.1 ws-emit-*.1 subspy-*.1)
	rm -f $(addprefix $(DESTDIR)$(BASHDIR)/,$(PROGRAMS)) $(addprefix $(DESTDIR)$(ZSHDIR)/_,$(PROGRAMS))
	rm -f $(addprefix $(DESTDIR)$(FISHDIR)/,$(addsuffix .fish,$(PROGRAMS)))

deb: standalone
	@scripts/install-packages deb
	mkdir -p dist && rm -f dist/ws-emit_*.deb
	DEB_FOLDER=dist debian/rules clean binary
