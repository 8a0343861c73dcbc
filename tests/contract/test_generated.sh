#!/usr/bin/env bash
# generated/ is what ./flow gen makes of proto/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec tools/gen --check
