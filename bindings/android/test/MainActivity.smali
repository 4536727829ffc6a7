# Stands for the demo's activity where no compiler for Dalvik code is installed: it loads the native library.
.class public Ldev/picodet/demo/MainActivity;
.super Landroid/app/Activity;

.method static constructor <clinit>()V
    .registers 1
    const-string v0, "picodet"
    invoke-static {v0}, Ljava/lang/System;->loadLibrary(Ljava/lang/String;)V
    return-void
.end method

.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Landroid/app/Activity;-><init>()V
    return-void
.end method
