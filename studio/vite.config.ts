import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

// What is built is part of the Python package: fixed names, everything beside index.html, nothing from elsewhere.
const outDir = "../real2sam2real/assets/studio";

/** What decides the build, in order; tests/studio/test_build.py reads the same. */
function sources(): string[] {
  const inner = readdirSync("src", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name).replaceAll("\\", "/"));
  return [...inner, "index.html", "package.json", "package-lock.json", "public/NOTICE.txt", "tsconfig.json", "vite.config.ts"].sort();
}

/** Writes the hash of all sources beside what is built, so that a test knows without Node whether it is current. */
function stamped(): Plugin {
  return {
    name: "stamped",
    closeBundle() {
      const hash = createHash("sha256");
      for (const path of sources()) hash.update(`${path}\n`).update(readFileSync(path)).update("\n");
      writeFileSync(join(outDir, "sources.sha256"), `${hash.digest("hex")}\n`);
    },
  };
}

const page = defineConfig({
  base: "./",
  build: {
    outDir,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    rollupOptions: {
      output: { entryFileNames: "studio.js", chunkFileNames: "[name].js", assetFileNames: "studio[extname]" },
    },
  },
});

// The 3D view in the page of a run: one script, to be written into that page.
const runview = defineConfig({
  publicDir: false,
  plugins: [stamped()],
  build: {
    outDir,
    emptyOutDir: false,
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: "src/runview/main.ts", output: { format: "iife", entryFileNames: "runview.js" } },
  },
});

export default defineConfig(({ mode }) => (mode === "runview" ? runview : page));
