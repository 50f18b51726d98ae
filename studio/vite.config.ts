import { defineConfig } from "vite";

// What is built is part of the Python package: fixed names, everything beside index.html, nothing from elsewhere.
const outDir = "../real2sam2real/assets/studio";

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
  build: {
    outDir,
    emptyOutDir: false,
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: "src/runview/main.ts", output: { format: "iife", entryFileNames: "runview.js" } },
  },
});

export default defineConfig(({ mode }) => (mode === "runview" ? runview : page));
