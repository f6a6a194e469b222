# To be sourced. Installs what the tests need where apt is available, and points the Vulkan loader at both
# software drivers, lavapipe and SwiftShader (from Chromium's package).

lavapipe=/usr/share/vulkan/icd.d/lvp_icd.$(uname -m).json
swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json

missing=()
[ -e "$lavapipe" ] || missing+=(mesa-vulkan-drivers)
[ -e "$swiftshader" ] || missing+=(chromium)
ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' || missing+=(libvulkan1)
# Rust links with the C compiler.
command -v cc >/dev/null || missing+=(gcc libc6-dev)

if [ "${#missing[@]}" -gt 0 ]; then
    if command -v apt-get >/dev/null; then
        as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        echo "Installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        "${as_root[@]}" apt-get update -qq
        # One by one: Ubuntu, for one, has no package of Chromium's.
        for package in "${missing[@]}"; do
            "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
                echo "$package is not available here; continuing without it." >&2
        done
    else
        echo "Missing: ${missing[*]} (the names of Debian's packages)." >&2
        echo "Install the Vulkan loader, Mesa's lavapipe and SwiftShader, or continue without them." >&2
    fi
fi

# Added to the drivers that the loader finds by itself, so that a hardware GPU is tested as well.
if [ -e "$swiftshader" ]; then
    export VK_ADD_DRIVER_FILES="$swiftshader${VK_ADD_DRIVER_FILES:+:$VK_ADD_DRIVER_FILES}"
fi
# Mesa prints an error if it is not set.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
