#!/usr/bin/env bash
# Builds packages from the tarball of `make dist`: build.sh deb|rpm TARBALL OUTPUT-DIRECTORY [VERSION]
#
# The version is configure.ac's and the date that of NEWS.md, in every package. VERSION is for the
# tests of upgrades: it replaces the one that the package manager sees. What is built depends on
# the tarball and on the compiler alone, so two builds give the same bytes.
set -eu

kind=$1
tarball=$(readlink -f "$2")
mkdir -p "$3"
output=$(readlink -f "$3")
name=$(basename "$tarball" .tar.xz)
version=${4:-${name#quiesced-}}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -x -f "$tarball" -C "$work"
source_tree=$work/$name
day=$(sed -n 's/^## [^ ]* (\(.*\))$/\1/p' "$source_tree/NEWS.md" | head -n 1)
# The day's beginning: files newer than that get its time in the packages, older ones keep theirs.
SOURCE_DATE_EPOCH=$(date -u -d "$day 00:00" +%s)
export SOURCE_DATE_EPOCH

run() {
    "$@" >"$output/$kind.log" 2>&1 || {
        tail -n 40 "$output/$kind.log" >&2
        echo "packaging: $1 failed; $output/$kind.log has all of it" >&2
        exit 1
    }
}

build_deb() {
    cp -r "$source_tree/packaging/deb" "$source_tree/debian"
    sed -e "s|@VERSION@|$version|" -e "s|@DATE@|$(date -u -R -d "@$SOURCE_DATE_EPOCH")|" \
        "$source_tree/debian/changelog.in" >"$source_tree/debian/changelog"
    rm "$source_tree/debian/changelog.in"
    cd "$source_tree"
    # The tests have their own run; the packages' build is not another one.
    DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=2 ${DEB_BUILD_OPTIONS:-}" run \
        dpkg-buildpackage --build=binary --unsigned-changes --no-check-builddeps
    cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$output"
}

build_rpm() {
    mkdir -p "$work/rpm/SOURCES"
    cp "$tarball" "$work/rpm/SOURCES"
    sed -e "s|@VERSION@|$version|g" -e "s|@TARBALL_VERSION@|${name#quiesced-}|g" \
        -e "s|@DATE@|$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')|" \
        "$source_tree/packaging/rpm/quiesced.spec" >"$work/rpm/quiesced.spec"
    # --nodeps: where another package manager installed what the build needs.
    run rpmbuild -bb --nodeps --without check --define "_topdir $work/rpm" \
        --define "use_source_date_epoch_as_buildtime 1" --define "_buildhost localhost" \
        --define "clamp_mtime_to_source_date_epoch 1" "$work/rpm/quiesced.spec"
    cp "$work/rpm/quiesced.spec" "$output"
    find "$work/rpm/RPMS" -name '*.rpm' -exec cp {} "$output" \;
}

case $kind in
deb) build_deb ;;
rpm) build_rpm ;;
*)
    echo "build.sh: $kind is neither deb nor rpm" >&2
    exit 2
    ;;
esac
