#!/usr/bin/env bash
# Checks the packages that ./run package made: their own checkers, the numbers they promise, that a
# second build gives the same bytes, and that the RPMs install, run and leave nothing. Needs root.
# Prints TAP; a check whose tool is not here says SKIP. check.sh BUILD-DIRECTORY
# shellcheck disable=SC2317 # test_that calls them by name
set -u
build=$(readlink -f "$1")
packages=$build/packages
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 failed=0

verdict() { # DESCRIPTION STATUS
    number=$((number + 1))
    if [ "$2" = 0 ]; then echo "ok $number - $1"; else
        sed 's/^/# /' "$work/output"
        echo "not ok $number - $1"
        failed=1
    fi
}

# test_that DESCRIPTION TOOL COMMAND...: skipped where there is no TOOL.
test_that() {
    local description=$1 tool=$2
    shift 2
    if ! command -v "$tool" >/dev/null; then
        number=$((number + 1))
        echo "ok $number - $description # SKIP no $tool here"
        return
    fi
    "$@" >"$work/output" 2>&1
    verdict "$description" $?
}

version_in_one_place() {
    local version
    version=$(sed -n 's/^AC_INIT(\[quiesced\], \[\([^]]*\)\].*/\1/p' configure.ac)
    echo "configure.ac says $version"
    grep -m 1 '^## ' NEWS.md | grep -F "## $version (" &&
        "$build/quiesced" --version | grep -F "quiesced $version " &&
        [ -f "$build/quiesced-$version.tar.xz" ]
}

deb_checker() { lintian --allow-root --fail-on error,warning,info --info "$packages"/*.changes; }

deb_depends_on_nothing_more_than_named() { # beside libraries: nothing
    ! dpkg-deb -f "$packages"/quiesced_*.deb Depends | tr ',' '\n' | grep -v '^ *lib' | grep .
}

deb_twice() {
    local deb
    packaging/build.sh deb "$build"/quiesced-*.tar.xz "$work/again" || return 1
    for deb in "$packages"/*.deb; do cmp "$deb" "$work/again/$(basename "$deb")" || return 1; done
}

rpm_checker() {
    rpmlint --strict --config packaging/rpm/rpmlint.toml "$packages"/*.rpm \
        "$packages/quiesced.spec"
}

# The libraries of this machine as a package, so that a root folder without a distribution is one in
# which the programs run, and in which dnf finds what they need.
make_libraries() {
    local tree=$work/libraries file
    mkdir -p "$tree/root/bin" "$tree/root/lib64"
    { ldd "$build/quiesced" && ldd /bin/sh && ldd /bin/rm; } | grep -o '/[^ ]*' | sort -u |
        while read -r file; do cp -L --parents "$file" "$tree/root"; done
    cp -L /bin/sh /bin/rm "$tree/root/bin" || return 1
    cat >"$tree/libraries.spec" <<-SPEC
	%global debug_package %{nil}
	%global __os_install_post %{nil}
	Name: libraries
	Version: 1
	Release: 1
	Summary: What the programs need
	License: none
	Provides: policycoreutils rtld(GNU_HASH)
	AutoReq: no
	%description
	None.
	%install
	cp -r $tree/root/. %{buildroot}
	%files
	/*
	SPEC
    rpmbuild -bb --define "_topdir $tree" "$tree/libraries.spec" &&
        mkdir -p "$work/repository" && cp "$tree"/RPMS/*/*.rpm "$packages"/*.rpm "$work/repository"
}

runs_in() { # ROOT
    chroot "$1" /usr/sbin/quiesced --version && chroot "$1" /usr/sbin/quiesced --dump-conf &&
        chroot "$1" /usr/libexec/quiesced/quiesced-keeper --version
}

nothing_left_in() { ! find "$1" -ipath '*quiesced*' ! -path '*/var/*' | grep .; }

rpm_root() {
    local root=$work/rpm-root
    make_libraries || return 1
    mkdir "$root"
    rpm --root "$root" --initdb &&
        rpm --root "$root" -i "$work"/repository/libraries-*.rpm &&
        rpm --root "$root" -i "$work"/repository/quiesced-*.rpm &&
        rpm --root "$root" -V quiesced quiesced-hooks quiesced-qemu-ga quiesced-selinux &&
        runs_in "$root" && chroot "$root" /usr/bin/qemu-ga --version &&
        rpm --root "$root" -e quiesced quiesced-hooks quiesced-qemu-ga quiesced-selinux &&
        nothing_left_in "$root"
}

in_dnf() { # ROOT ARGUMENT...
    local root=$1
    shift
    dnf -q -y --installroot="$root" --releasever=1 --setopt=reposdir=/nowhere \
        --setopt=cachedir="$work/dnf" --repofrompath="packages,file://$work/repository" \
        --nogpgcheck "$@"
}

dnf_installroot() {
    local root=$work/dnf-root
    createrepo_c -q "$work/repository" && mkdir "$root" && in_dnf "$root" install quiesced &&
        runs_in "$root" && [ -x "$root/usr/lib/quiesced/hooks.d/50-postgresql" ] &&
        in_dnf "$root" install quiesced-qemu-ga && chroot "$root" /usr/bin/qemu-ga --version &&
        in_dnf "$root" remove quiesced quiesced-hooks && nothing_left_in "$root"
}

# The command of README.md, in a root folder that has what a distribution would have.
readme_dnf() {
    local root=$work/readme-root line
    line=$(sed -n 's/^sudo dnf install //p' README.md)
    line=${line//.\/build/$build}
    [ -n "$line" ] && mkdir "$root" || return 1
    # shellcheck disable=SC2086 # it is a pattern of files
    in_dnf "$root" install $line && runs_in "$root" &&
        chroot "$root" /usr/bin/qemu-ga --version
}

exposure_of() { # UNIT...: of the units put together, as systemd sees them
    mkdir -p "$work/units"
    cat "$@" >"$work/units/unit.service"
    systemd-analyze security --offline=yes --no-pager "$work/units/unit.service" |
        sed -n 's/.*exposure level[^:]*: \([0-9.]*\).*/\1/p'
}

# A figure in docs/security.md is what systemd-analyze says now.
units_are_as_documented() {
    local keeper service tight
    keeper=$(exposure_of "$build/systemd/quiesced-keeper.service")
    service=$(exposure_of "$build/systemd/quiesced.service")
    tight=$(exposure_of "$build/systemd/quiesced.service" \
        <(sed '/^#/d' docs/examples/quiesced-tight.conf))
    echo "keeper $keeper, service $service, tightened $tight"
    grep -F "| \`quiesced-keeper.service\` | $keeper |" docs/security.md &&
        grep -F "| \`quiesced.service\` | $service |" docs/security.md &&
        grep -F "| \`quiesced.service\` with \`quiesced-tight.conf\` | $tight |" docs/security.md &&
        [ "$(printf '%s\n3.0\n' "$keeper" | sort -n | head -n 1)" = "$keeper" ]
}

test_that "the version is configure.ac's everywhere" sed version_in_one_place
test_that "lintian has no complaint" lintian deb_checker
test_that "the DEB needs libraries only" dpkg-deb deb_depends_on_nothing_more_than_named
test_that "a second build of the DEBs has the same bytes" dpkg-buildpackage deb_twice
test_that "rpmlint has no complaint" rpmlint rpm_checker
test_that "the RPMs install into an empty root, run, and leave nothing" rpmbuild rpm_root
test_that "dnf installs them from a repository, with the hooks, and removes them" dnf \
    dnf_installroot
test_that "README.md's dnf command installs them" dnf readme_dnf
test_that "the units are as restricted as documented, the keeper's below 3.0" systemd-analyze \
    units_are_as_documented
test_that "the AppArmor profile is one" apparmor_parser \
    apparmor_parser -Q -K packaging/apparmor/usr.sbin.quiesced
echo "1..$number"
exit $failed
