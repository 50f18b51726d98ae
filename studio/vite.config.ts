import { defineConfig } from "vite";

// The built page is part of the Python package: fixed names, everything beside index.html, nothing from elsewhere.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../real2sam2real/assets/studio",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    rollupOptions: {
      output: { entryFileNames: "studio.js", chunkFileNames: "[name].js", assetFileNames: "studio[extname]" },
    },
  },
});
