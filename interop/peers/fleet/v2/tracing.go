package main

import (
	"context"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/middleware/tracing"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
)

func quiet() {
	otel.SetTracerProvider(sdktrace.NewTracerProvider())
	log.SetLogger(log.NewFilter(log.DefaultLogger, log.FilterLevel(log.LevelFatal)))
}

func dial(ctx context.Context, options ...kgrpc.ClientOption) (*grpc.ClientConn, error) {
	return kgrpc.DialInsecure(ctx, options...)
}

func serverTracing() middleware.Middleware { return tracing.Server() }

func clientTracing() middleware.Middleware { return tracing.Client() }
