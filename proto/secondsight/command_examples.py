"""How commands are called: at the end of each one's help, and in docs/commands.md."""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "access user add": (
        "secondsight access user add otto --role operator --camera gate",
        "secondsight access user add anna --role admin --json",
    ),
    "access user change": ("secondsight access user change otto --role viewer",),
    "access user password": ("secondsight access user password otto",),
    "access user list": ("secondsight access user list --json",),
    "access user remove": ("secondsight access user remove otto",),
    "access user key": (
        "secondsight access user key otto",
        "secondsight access user key otto --revoke ssu_1a2b3c4d",
    ),
    "access camera add": ("secondsight access camera add gate > gate.token",),
    "access camera list": ("secondsight access camera list --json",),
    "access camera revoke": ("secondsight access camera revoke gate",),
    "audit verify": ("secondsight audit verify --data data", "secondsight audit verify --json"),
    "audit export": (
        "secondsight audit export --from 2026-01-01 --to 2026-01-31 --camera gate",
        "secondsight audit export --format csv > audit.csv",
    ),
    "bench codec": (
        "secondsight bench codec --no-peers",
        "secondsight bench codec --width 640 --height 360 --json",
    ),
    "bench recognition": ("secondsight bench recognition --recogniser nanodet --json",),
    "bench spool": ("secondsight bench spool /var/lib/secondsight",),
    "cameras": ("secondsight cameras", "secondsight cameras --server https://centre.example:8080 --json"),
    "certificates make": ("secondsight certificates make tls --host centre.example --camera gate",),
    "commands": ("secondsight commands > docs/commands.md",),
    "completion": (
        "secondsight completion bash >> ~/.bashrc",
        "secondsight completion fish > ~/.config/fish/completions/secondsight.fish",
    ),
    "decode": (
        "secondsight decode photo.machine machine.png",
        "secondsight decode photo.machine human.png --enhancement photo.enhancement --slices 2",
    ),
    "demo": ("secondsight demo --serve", "secondsight demo --source rtsp://10.0.0.7/stream --frames 300"),
    "edge": (
        "secondsight edge --camera gate --source rtsp://10.0.0.7/stream --store redis://127.0.0.1:6379/0",
        "secondsight edge --config site.yaml",
    ),
    "edge check": ("secondsight edge check --config site.yaml --json",),
    "edge schema": ("secondsight edge schema > site.schema.json",),
    "encode": (
        "secondsight encode photo.png",
        "secondsight encode photo.png --quality 3 --out /tmp/photo --json",
    ),
    "eval losses": ("secondsight eval losses coco_val --images 8",),
    "eval paper": ("secondsight eval paper kodak --out paper.json",),
    "eval rd": ("secondsight eval rd kodak --workers 2 --out rd.json",),
    "eval recognition": ("secondsight eval recognition coco_val --images 8 --no-peers --json",),
    "eval report": ("secondsight eval report --photos kodak --sheets 4",),
    "eval stream": ("secondsight eval stream video --frames 120 --judged 16 --out stream.json",),
    "frames": (
        "secondsight frames gate --limit 5",
        "secondsight frames gate --from 2026-01-31T08:00:00Z --to 2026-01-31T09:00:00Z --json",
    ),
    "keep": ("secondsight keep gate 3-120 --reason 'broken window, case 17'",),
    "marks list": ("secondsight marks list --camera gate",),
    "marks summary": ("secondsight marks summary --json",),
    "marks export": ("secondsight marks export marked --camera gate --reason 'measuring the detector'",),
    "masks": ("secondsight masks train --out train_masks",),
    "models": ("secondsight models", "secondsight models --json"),
    "models import": (
        "secondsight models import machine.pth.tar enhancement.pth.tar --out paper.safetensors",
    ),
    "models export": (
        "secondsight models export --machine runs/machine --enhancement runs/enhancement --out lite.safetensors",
    ),
    "models calibrate": ("secondsight models calibrate photos --out lite.safetensors",),
    "models export-comparison": ("secondsight models export-comparison runs/human --out comparison",),
    "openapi": ("secondsight openapi > openapi.json",),
    "plan": (
        "secondsight plan --cameras 40 --fps 5 --width 1280 --height 720",
        "secondsight plan --cameras 40 --fps 5 --width 1280 --height 720 --place edge --json",
    ),
    "recogniser list": ("secondsight recogniser list",),
    "recogniser check": ("secondsight recogniser check onnx:model.onnx photo.jpg",),
    "recogniser look": ("secondsight recogniser look nanodet photo.jpg --json",),
    "relay": ("secondsight relay --config relay.yaml", "secondsight relay --config relay.yaml --check"),
    "relay resend": ("secondsight relay resend tickets --config relay.yaml",),
    "results": (
        "secondsight results gate yard --label person --minimum-score 0.5",
        "secondsight results --positions seen.json --json",
    ),
    "server": (
        "secondsight server",
        "secondsight server --no-worker --store redis://store.example:6379/0",
    ),
    "status": ("secondsight status --watch", "secondsight status --edge http://10.0.0.5:9100 --json"),
    "store": ("secondsight store --port 6380 --max-memory 2gb",),
    "tasks list": ("secondsight tasks list --store redis://127.0.0.1:6379/0",),
    "tasks remove": ("secondsight tasks remove plates --store redis://127.0.0.1:6379/0",),
    "train machine": ("secondsight train machine --photos train --masks train_masks --out runs/machine",),
    "train enhancement": (
        "secondsight train enhancement --photos train --machine runs/machine --out runs/enhancement",
    ),
    "train human": ("secondsight train human --photos train --out runs/human",),
    "train difference": (
        "secondsight train difference --photos train --machine runs/machine --out runs/difference",
    ),
    "train predicted-machine": (
        "secondsight train predicted-machine --photos train --annotations instances.json --out runs/predicted-machine",
    ),
    "train predicted-enhancement": (
        "secondsight train predicted-enhancement --photos train --annotations instances.json --out runs/predicted",
    ),
    "train ablation": ("secondsight train ablation --photos train --validation kodak --out runs/ablation",),
    "train pack": ("secondsight train pack --photos train --masks train_masks --out packed",),
    "view": (
        "secondsight view gate",
        "secondsight view gate --at '2026-01-31 08:15' --out gate.png",
        "secondsight view gate 3-120 --human --reason 'broken window, case 17'",
    ),
    "worker": ("secondsight worker --store redis://store.example:6379/0",),
}
"""Lines of a shell, by the words of their command."""
